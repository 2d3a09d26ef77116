//! Reading and writing of fixed fields and of type-length-value extensions.

use bytes::{BufMut, BytesMut};

use crate::error::WireError;

/// Extensions with this bit must be understood, others are passed over.
pub(crate) const CRITICAL: u16 = 0x8000;

/// Takes fields off the front of a slice; every length is checked before it is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        if self.0.len() < n {
            return Err(WireError("truncated field"));
        }
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next extension: type and value.
    pub(crate) fn extension(&mut self) -> Result<Option<(u16, &'a [u8])>, WireError> {
        if self.is_empty() {
            return Ok(None);
        }
        let kind = self.u16()?;
        let len = self.u16()?;
        Ok(Some((kind, self.take(usize::from(len))?)))
    }
}

/// Appends an extension; values are short, longer ones are the caller's mistake and left out.
pub(crate) fn put_extension(out: &mut BytesMut, kind: u16, value: &[u8]) {
    let Ok(len) = u16::try_from(value.len()) else {
        return;
    };
    out.put_u16(kind);
    out.put_u16(len);
    out.put_slice(value);
}

/// What to do with an extension of a type that is not known here.
pub(crate) const fn unknown_extension(kind: u16) -> Result<(), WireError> {
    if kind & CRITICAL == 0 {
        Ok(())
    } else {
        Err(WireError("unknown critical extension"))
    }
}
