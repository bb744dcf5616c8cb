"""Every answer says what its page may load and do."""

from __future__ import annotations

import re
from urllib.parse import quote_plus

from asking import TOKEN, Answer, ask, cookie_of, inner

from dashboard.access import Access
from dashboard.headers import inline_hash


def directives(answer: Answer) -> dict[str, str]:
    """Return the content security policy by directive."""
    lines = answer.headers["content-security-policy"].split("; ")
    return dict(line.split(" ", 1) for line in lines)


def test_every_answer_has_the_security_headers() -> None:
    answers = [
        ask(),
        ask(host="evil.example"),
        ask(token=TOKEN),
        ask("/?token=" + quote_plus(TOKEN), TOKEN),
    ]
    assert [answer.status for answer in answers] == [200, 403, 401, 303]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in answer.headers["permissions-policy"]
        policy = directives(answer)
        for name in ("default-src", "object-src", "base-uri", "frame-ancestors"):
            assert policy[name] == "'none'"
        assert policy["form-action"] == "'self'"


def test_one_page_alone_may_ask_for_the_camera() -> None:
    allowed = {
        path: "camera=(self)" in ask(path).headers["permissions-policy"]
        for path in ("/try", "/", "/history", "/try/predict", "/assets/try-page.js")
    }
    assert [path for path, may in allowed.items() if may] == ["/try"]
    assert "microphone=()" in ask("/try").headers["permissions-policy"]
    assert "camera=()" in ask("/try", TOKEN).headers["permissions-policy"]  # the login page


def test_the_policy_allows_the_scripts_of_the_page_and_no_other() -> None:
    guard = Access(inner, None, scripts=[inline_hash("our()")])
    policy = directives(ask(guard=guard))
    # printf 'our()' | openssl dgst -sha256 -binary | base64
    assert policy["script-src"] == "'self' 'sha256-no0AiConsoWH/4LhkV1U0eJnXako+cpdbvvV+PrRHY8='"


def test_the_login_page_may_have_its_own_style_alone() -> None:
    answer = ask(token=TOKEN)
    policy = directives(answer)
    (style,) = re.findall("<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
    assert policy["style-src"] == inline_hash(style)
    assert "script-src" not in policy
    assert b"<script" not in answer.body
    assert b"style=" not in answer.body


def test_https_is_demanded_from_then_on_where_it_was_used() -> None:
    name = "strict-transport-security"
    assert name not in ask(token=TOKEN, host="dash.example").headers
    assert name in ask(token=TOKEN, host="dash.example", scheme="https").headers
    good = cookie_of(ask("/?token=" + quote_plus(TOKEN), TOKEN))
    assert name in ask(token=TOKEN, host="dash.example", scheme="https", cookie=good).headers
    # Other programs on this machine are served under the same name without it.
    assert name not in ask(host="localhost:8050", scheme="https").headers
    login = ask("/?token=" + quote_plus(TOKEN), TOKEN, scheme="https")
    assert "Secure" in login.headers["set-cookie"]
