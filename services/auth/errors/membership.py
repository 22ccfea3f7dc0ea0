"""What members and invitations refuse."""

from shared.errors import Conflict, Invalid, NotFound


class MemberNotFound(NotFound):
    code = "auth.member_not_found"
    meaning = "The tenant has no such member."
    default_detail = "The tenant has no such member."


class AlreadyMember(Conflict):
    code = "auth.already_member"
    meaning = "The user of this address belongs to the tenant already."
    default_detail = "The user of this address belongs to the tenant already."


class LastOwner(Conflict):
    code = "auth.last_owner"
    meaning = "The tenant would be left without an owner: make another member an owner first."
    default_detail = "A tenant keeps at least one owner; make another member an owner first."


class TooManyTenants(Conflict):
    code = "auth.too_many_tenants"
    meaning = "The user belongs to as many tenants as one may: leave one first."
    default_detail = "The user belongs to as many tenants as one may; leave one first."


class TooManyInvitations(Conflict):
    code = "auth.too_many_invitations"
    meaning = "The tenant has sent as many invitations within a week as it may, and nobody has accepted them."
    default_detail = "The tenant has as many unanswered invitations as it may send in a week."


class InvitationNotFound(NotFound):
    code = "auth.invitation_not_found"
    meaning = "There is no such open invitation of the tenant."
    default_detail = "There is no such open invitation."


class InvitationRefused(Invalid):
    """One answer for unknown, expired, withdrawn and used."""

    code = "auth.invitation_refused"
    meaning = "The invitation is unknown, expired, withdrawn or used."
    default_detail = "The invitation is unknown, expired, withdrawn or used."
