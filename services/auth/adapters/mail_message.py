"""A letter in the form of RFC 5322."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid

from services.auth.people.accounts.address import as_mailed
from services.auth.ports import Mail


def message_of(mail: Mail, sender: str) -> EmailMessage:
    """The letter from `sender`. Header fields are set by the library, which refuses a line break in any of them."""
    message = EmailMessage(policy=SMTP)
    message["From"] = Address("SutazAI", addr_spec=sender)
    message["To"] = as_mailed(mail.to)
    message["Subject"] = mail.subject
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notices, please
    message.set_content(mail.text)
    return message
