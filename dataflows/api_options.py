"""Options of the REST API; they appear in the settings under these names."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

__all__ = ["ApiSettings"]


class ApiSettings(BaseModel):
    """The REST API: where it listens, who may ask, and what a request may cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    token: SecretStr | None = Field(
        default=None,
        description="Token of the clients, demanded on any address that is not loopback.",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="Origins whose pages may use the API, such as `https://app.example`; no other "
        "page may.",
    )
    requests_per_minute: int = Field(
        default=6000,
        ge=0,
        description="Requests that one token, or one address where there is none, may make in a "
        "minute; 0 is no limit.",
    )
    max_body_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=1024,
        description="Largest body of a request, in bytes; of a longer one the rest is not read.",
    )
    max_batch: int = Field(
        default=32, ge=1, le=1024, description="Most contents, or events, of one request."
    )
    max_text: int = Field(
        default=10_000, ge=1, description="Most characters of one text in a request."
    )
    queue: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Contents that may wait for the models; a request beyond is refused with 429.",
    )
    gather_ms: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="Milliseconds that a content waits at most for others to share its batch.",
    )
    timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Seconds that a body may take to arrive, and an answer to be found.",
    )
    max_streams: int = Field(
        default=64, ge=1, le=10_000, description="Most streams of events that are open at once."
    )
    feedback_pictures: bool = Field(
        default=False,
        description="Whether a correction may carry the picture of the face, where the one who "
        "sends it says that its owner agrees. Otherwise corrections carry features alone.",
    )
