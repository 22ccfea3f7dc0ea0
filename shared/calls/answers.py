"""What the error answer of another service becomes here."""

import httpx

from shared.errors import FieldProblem, Relayed, Unauthenticated, UpstreamFailed


def raise_for_problem(service: str, response: httpx.Response) -> None:
    """Turn an error answer of `service` into the error it stands for; its internal errors become UpstreamFailed."""
    if not response.is_error:
        return
    if response.status_code == 401:
        raise Unauthenticated
    try:
        body = response.json()
        code, title, detail = str(body["code"]), str(body["title"]), str(body["detail"])
    except (ValueError, KeyError, TypeError) as error:
        raise UpstreamFailed(f"{service} gave an invalid answer.") from error
    if response.status_code == 500:
        raise UpstreamFailed(f"{service} failed.")
    retry_after = response.headers.get("retry-after")
    raise Relayed(
        response.status_code,
        code,
        title,
        detail,
        errors=[FieldProblem.model_validate(problem) for problem in body.get("errors") or []],
        headers={"Retry-After": retry_after} if retry_after else {},
    )
