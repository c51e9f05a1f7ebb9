//! Reads numbers and slices off the front of a byte string, checking that they are there.

use super::error::Malformed;

/// The part of a byte string that has not been read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

type Read<T> = Result<T, Malformed>;

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Everything that is left, without reading it.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::TRUNCATED)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Read<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Read<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A little-endian number of `length` bytes, at most 8.
    #[inline]
    pub(crate) fn uint(&mut self, length: usize) -> Read<u64> {
        let mut number = [0; 8];
        let target = number
            .get_mut(..length)
            .ok_or(Malformed("a number has more than 8 bytes"))?;
        target.copy_from_slice(self.take(length)?);
        Ok(u64::from_le_bytes(number))
    }

    /// A big-endian number of `length` bytes, at most 8.
    #[inline]
    pub(crate) fn uint_be(&mut self, length: usize) -> Read<u64> {
        Ok(self
            .take(length)?
            .iter()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// The protocol's length-encoded integer.
    pub(crate) fn lenenc(&mut self) -> Read<u64> {
        match self.u8()? {
            0xfb | 0xff => Err(Malformed("a length-encoded number starts with 0xfb or 0xff")),
            0xfc => self.uint(2),
            0xfd => self.uint(3),
            0xfe => self.uint(8),
            small => Ok(u64::from(small)),
        }
    }

    /// A length-encoded integer that counts bytes or items.
    pub(crate) fn lenenc_usize(&mut self) -> Read<usize> {
        usize::try_from(self.lenenc()?).map_err(|_| Malformed::TRUNCATED)
    }

    /// A byte string behind its length-encoded length.
    pub(crate) fn lenenc_bytes(&mut self) -> Read<&'a [u8]> {
        let length = self.lenenc_usize()?;
        self.take(length)
    }

    /// A byte string behind one byte that holds its length.
    pub(crate) fn short_bytes(&mut self) -> Read<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }
}

/// An identifier; MySQL keeps them in UTF-8.
pub(crate) fn identifier(bytes: &[u8]) -> Read<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Malformed("a name is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_ends_are_noticed() {
        let mut cursor = Cursor::new(&[1, 2, 0, 3, 0, 0, 0, 9, 8, 7]);
        assert_eq!(cursor.u8(), Ok(1));
        assert_eq!(cursor.u16(), Ok(2));
        assert_eq!(cursor.u32(), Ok(3));
        assert_eq!(cursor.uint_be(2), Ok(0x0908));
        assert_eq!(cursor.u16(), Err(Malformed::TRUNCATED));
        assert_eq!(cursor.uint(1), Ok(7));
        assert!(cursor.is_empty());
        assert!(Cursor::new(&[0; 20]).uint(9).is_err());
    }

    #[test]
    fn length_encoded_numbers_have_five_shapes() {
        let check = |bytes: &[u8], expected| assert_eq!(Cursor::new(bytes).lenenc().ok(), expected, "{bytes:?}");
        check(&[0xfa], Some(0xfa));
        check(&[0xfc, 1, 2], Some(0x0201));
        check(&[0xfd, 1, 2, 3], Some(0x0003_0201));
        check(&[0xfe, 1, 0, 0, 0, 0, 0, 0, 1], Some(0x0100_0000_0000_0001));
        check(&[0xfb], None);
        check(&[0xff], None);
        check(&[0xfd, 1, 2], None);
        check(&[], None);
    }
}
