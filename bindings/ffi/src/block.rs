//! Bytes that cross the language as one block. uniffi moves the items of a `Vec<u8>` one by one, which takes a sixth of a
//! millisecond for 64 KiB, and copies what it hands over.
#![allow(
    unsafe_code,
    reason = "the traits of what crosses the language are unsafe to implement"
)]

use std::ops::Deref;

use bytes::BufMut as _;
#[cfg(feature = "http")]
use bytes::Bytes;
use bytes::buf::Limit;
use uniffi::deps::anyhow::{self, bail};
use uniffi::{FfiConverter, MetadataBuffer, RustBuffer, TypeId};

/// Before the bytes stands their number.
const HEADER: usize = 4;

/// A block of bytes; `Data` in Swift, and a `ByteArray` in Kotlin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The header, to be filled in when the block is handed over, and the bytes.
    framed: Vec<u8>,
}

impl Block {
    /// No bytes yet, with room for some.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut framed = Vec::with_capacity(HEADER + bytes);
        framed.extend_from_slice(&[0; HEADER]);
        Self { framed }
    }

    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.framed.extend_from_slice(bytes);
    }

    /// Where `bytes` more can be put, without any being there before.
    pub(crate) fn space(&mut self, bytes: usize) -> Limit<&mut Vec<u8>> {
        self.framed.reserve(bytes);
        (&mut self.framed).limit(bytes)
    }

    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.framed.reserve(bytes);
    }

    #[cfg(feature = "http")]
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from(self.framed).slice(HEADER..)
    }
}

impl From<&[u8]> for Block {
    fn from(bytes: &[u8]) -> Self {
        let mut block = Self::with_capacity(bytes.len());
        block.extend_from_slice(bytes);
        block
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.framed[HEADER..]
    }
}

// SAFETY: written and read as `Vec<u8>` is, whose place it takes in the metadata: the length as a big-endian i32, then so many
// bytes. What is read is bounded by what is there.
unsafe impl<UT> FfiConverter<UT> for Block {
    type FfiType = RustBuffer;

    fn lower(mut block: Self) -> RustBuffer {
        // No block is longer than can be said: reads and writes are bounded.
        let size = i32::try_from(block.len()).unwrap_or_default();
        block.framed[..HEADER].copy_from_slice(&size.to_be_bytes());
        RustBuffer::from_vec(block.framed)
    }

    fn try_lift(buffer: RustBuffer) -> anyhow::Result<Self> {
        let framed = buffer.destroy_into_vec();
        let said = framed.first_chunk().map(|size| i32::from_be_bytes(*size));
        if said.map(usize::try_from) != Some(Ok(framed.len().wrapping_sub(HEADER))) {
            bail!("a block of bytes is not as long as it says");
        }
        Ok(Self { framed })
    }

    fn write(block: Self, buffer: &mut Vec<u8>) {
        let size = i32::try_from(block.len()).unwrap_or_default();
        buffer.reserve(block.framed.len());
        buffer.extend_from_slice(&size.to_be_bytes());
        buffer.extend_from_slice(&block);
    }

    fn try_read(buffer: &mut &[u8]) -> anyhow::Result<Self> {
        let Some((size, rest)) = buffer.split_first_chunk::<HEADER>() else {
            bail!("a block of bytes has no length");
        };
        let size = usize::try_from(i32::from_be_bytes(*size))?;
        let Some((bytes, rest)) = rest.split_at_checked(size) else {
            bail!("a block of bytes is shorter than it says");
        };
        *buffer = rest;
        let mut block = Self::with_capacity(size);
        block.extend_from_slice(bytes);
        Ok(block)
    }

    const TYPE_ID_META: MetadataBuffer = <Vec<u8> as TypeId<UT>>::TYPE_ID_META;
}

uniffi::derive_ffi_traits!(blanket Block);
