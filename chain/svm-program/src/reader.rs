//! Reads an instruction's data: numbers are big endian, and nothing may be left.

use pinocchio::error::ProgramError;

use crate::error::Error;

pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], ProgramError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(array)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], ProgramError> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ProgramError> {
        self.array().map(|[byte]| *byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, ProgramError> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ProgramError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ProgramError> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// A flag is 0 or 1.
    pub(crate) fn flag(&mut self) -> Result<u8, ProgramError> {
        match self.u8()? {
            flag @ (0 | 1) => Ok(flag),
            _ => Err(Error::Malformed.into()),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn end(&self) -> Result<(), ProgramError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::Malformed.into())
        }
    }
}
