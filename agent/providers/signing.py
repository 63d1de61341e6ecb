"""A service account's assertion of who it is, signed; the one module that needs `cryptography`."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from treadle.agent.providers.contract import AuthFailed
from treadle.agent.providers.credentials import Signer

_HOUR = 3600


def assertion(signer: Signer, audience: str, now: float) -> str:
    """Return a JWT (RFC 7519, RS256) that holds for an hour from `now`. Raises `AuthFailed` for no RSA key."""
    try:
        key = load_pem_private_key(signer.key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None  # what is wrong is not said: it might quote the key
    if not isinstance(key, RSAPrivateKey):
        raise AuthFailed("The private key of the service account is no RSA key in PEM.")
    head = {"alg": "RS256", "typ": "JWT", "kid": signer.key_id}
    claims = {
        "iss": signer.email,
        "scope": signer.scope,
        "aud": audience,
        "iat": int(now),
        "exp": int(now) + _HOUR,
    }
    signed = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
    return f"{signed}.{_encoded(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
