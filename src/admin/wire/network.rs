//! Who counts as one stranger.

use std::net::IpAddr;

/// An IPv4 address, or an IPv6 /64, which is what one subscriber gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Network {
    bits: u128,
    loopback: bool,
}

impl Network {
    pub(super) fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let bits = match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
        };
        Self {
            bits,
            loopback: address.is_loopback(),
        }
    }

    /// This machine itself.
    pub(super) fn is_loopback(self) -> bool {
        self.loopback
    }
}
