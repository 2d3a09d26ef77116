//! Keys and proofs, composed from X25519, HKDF and HMAC with SHA-256.

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use x25519_dalek as x25519;
use zeroize::Zeroizing;

/// A gateway's lasting secret, which clients may pin by its public half.
#[derive(Clone)]
pub struct StaticKey(x25519::StaticSecret);

impl StaticKey {
    /// From 32 secret random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(x25519::StaticSecret::from(bytes))
    }

    /// The secret bytes, to be kept in a file that only the gateway can read.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// What clients pin.
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519::PublicKey::from(&self.0).to_bytes())
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StaticKey").field(&self.public()).finish()
    }
}

/// The public half of a gateway's [`StaticKey`]; as text 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a key is 64 hexadecimal digits, as `twinpath gateway --key` prints it")]
pub struct ParseKeyError;

impl FromStr for PublicKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let digits = text.trim().as_bytes();
        if digits.len() != 64 {
            return Err(ParseKeyError);
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |d: u8| char::from(d).to_digit(16).ok_or(ParseKeyError);
            // Two hexadecimal digits make at most 255.
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(out))
    }
}

/// An end's ephemeral secret.
pub(crate) struct Ephemeral(x25519::StaticSecret);

impl Ephemeral {
    pub(crate) fn new(random: [u8; 32]) -> Self {
        Self(x25519::StaticSecret::from(random))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        x25519::PublicKey::from(&self.0).to_bytes()
    }

    /// `None` when the peer's key is of low order (an all-zero secret, RFC 7748 §6.1).
    fn agree(&self, peer: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        agree(&self.0, peer)
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ephemeral").finish_non_exhaustive()
    }
}

fn agree(secret: &x25519::StaticSecret, peer: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let shared = secret.diffie_hellman(&x25519::PublicKey::from(*peer));
    shared
        .was_contributory()
        .then(|| Zeroizing::new(shared.to_bytes()))
}

/// The keys of a session, one per purpose and direction.
#[derive(Clone)]
pub(crate) struct Keys {
    confirm: Zeroizing<[u8; 32]>,
    pub(crate) join_client: JoinKey,
    pub(crate) join_gateway: JoinKey,
}

/// A key that proves joins in one direction.
#[derive(Clone)]
pub(crate) struct JoinKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for JoinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinKey")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl JoinKey {
    /// The MAC over these parts, one behind the other.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.0, parts)
    }

    pub(crate) fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        bool::from(self.mac(parts).ct_eq(tag))
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length; this cannot fail.
    let Ok(mut hmac) = <Hmac<Sha256> as Mac>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Compares in constant time.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    bool::from(a.ct_eq(b))
}

impl Keys {
    /// The client's keys; `pin` is mixed in when the gateway said that it did so too.
    pub(crate) fn client(
        own: &Ephemeral,
        gateway: &[u8; 32],
        pin: Option<&[u8; 32]>,
        transcript: &[u8; 32],
    ) -> Option<Self> {
        let first = own.agree(gateway)?;
        let second = match pin {
            Some(key) => Some(own.agree(key)?),
            None => None,
        };
        Some(Self::derive(&first, second.as_deref(), transcript))
    }

    /// The gateway's keys.
    pub(crate) fn gateway(
        own: &Ephemeral,
        client: &[u8; 32],
        key: Option<&StaticKey>,
        transcript: &[u8; 32],
    ) -> Option<Self> {
        let first = own.agree(client)?;
        let second = match key {
            Some(key) => Some(agree(&key.0, client)?),
            None => None,
        };
        Some(Self::derive(&first, second.as_deref(), transcript))
    }

    fn derive(first: &[u8; 32], second: Option<&[u8; 32]>, transcript: &[u8; 32]) -> Self {
        let mut input = Zeroizing::new([0; 64]);
        input[..32].copy_from_slice(first);
        let len = match second {
            Some(second) => {
                input[32..].copy_from_slice(second);
                64
            }
            None => 32,
        };
        let hkdf = Hkdf::<Sha256>::new(Some(transcript), &input[..len]);
        let key = |label: &[u8]| {
            let mut out = Zeroizing::new([0; 32]);
            // 32 bytes are below HKDF's limit of 8160.
            let expanded = hkdf.expand(label, &mut *out);
            debug_assert!(expanded.is_ok());
            out
        };
        Self {
            confirm: key(b"twinpath 1 confirm"),
            join_client: JoinKey(key(b"twinpath 1 join client")),
            join_gateway: JoinKey(key(b"twinpath 1 join gateway")),
        }
    }

    /// The MAC at the end of WELCOME.
    pub(crate) fn confirm(&self, transcript: &[u8; 32]) -> [u8; 32] {
        mac(&self.confirm, &[transcript])
    }
}
