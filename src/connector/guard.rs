//! Which addresses may be dialled: a manifest must not make the program talk to the cloud's metadata
//! service or to itself. Names are resolved once, and only what was checked is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Addresses that are never dialled: link-local with the metadata services in it, multicast and the
/// unspecified address; in a cluster loopback too, which is the program's own Pod there.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Whether the program runs in a cluster.
    pub in_cluster: bool,
    /// More networks that are never dialled: address and prefix length.
    pub denied: Vec<(IpAddr, u8)>,
}

/// The metadata service of one cloud over IPv6 (fd00:ec2::254).
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// An address that the guard does not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is {kind}; such addresses are never called", self.name())]
pub struct Denied {
    pub host: String,
    pub address: IpAddr,
    kind: &'static str,
}

impl Denied {
    /// The host, and what it stands for where that is another text.
    fn name(&self) -> String {
        let address = self.address.to_string();
        if self.host == address {
            return address;
        }
        format!("{} ({address})", self.host)
    }
}

impl Guard {
    /// Why an address is never dialled; `None`: it may be.
    fn kind(&self, address: IpAddr) -> Option<&'static str> {
        // ::ffff:169.254.169.254 dials the same as 169.254.169.254.
        let address = address.to_canonical();
        let unspecified =
            address.is_unspecified() || matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 0);
        match address {
            _ if unspecified => Some("the unspecified address"),
            _ if address.is_multicast() => Some("a multicast address"),
            IpAddr::V4(v4) if v4.is_link_local() => Some("a link-local or metadata address"),
            IpAddr::V4(v4) if v4 == Ipv4Addr::BROADCAST => Some("the broadcast address"),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("a link-local address"),
            IpAddr::V6(v6) if v6 == METADATA_V6 => Some("a metadata address"),
            _ if self.in_cluster && address.is_loopback() => Some("a loopback address"),
            _ if self
                .denied
                .iter()
                .any(|(network, prefix)| within(address, *network, *prefix)) =>
            {
                Some("in a denied network")
            }
            _ => None,
        }
    }

    /// Checks an address that `host` stands for.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), Denied> {
        match self.kind(address) {
            None => Ok(()),
            Some(kind) => Err(Denied {
                host: host.to_owned(),
                address,
                kind,
            }),
        }
    }

    /// Checks a URL whose host is written as an address, which no resolver sees.
    pub fn check_url(&self, url: &Url) -> Result<(), Denied> {
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        match self.kind(address) {
            None => Ok(()),
            Some(_) => self.check(&address.to_string(), address),
        }
    }
}

/// Whether an address is in a network.
fn within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let same = |a: u128, b: u128, bits: u32| {
        let shift = bits.saturating_sub(u32::from(prefix));
        shift >= 128 || a >> shift == b >> shift
    };
    match (address, network.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(n)) => same(a.to_bits().into(), n.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => same(a.to_bits(), n.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_link_local_and_unspecified_addresses_are_never_dialled() {
        let guard = Guard::default();
        for bad in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "::ffff:169.254.169.254",
            "255.255.255.255",
        ] {
            assert!(guard.check("x", bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "192.168.1.1",
            "93.184.216.34",
            "fd00::1",
        ] {
            assert!(guard.check("x", good.parse().unwrap()).is_ok(), "{good}");
        }
    }

    #[test]
    fn in_a_cluster_loopback_is_the_programs_own_pod() {
        let guard = Guard {
            in_cluster: true,
            denied: vec![],
        };
        for bad in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(guard.check("x", bad.parse().unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_in_a_url_is_checked_however_it_is_written() {
        let guard = Guard {
            in_cluster: true,
            denied: vec![("10.1.0.0".parse().unwrap(), 16)],
        };
        for bad in [
            "http://169.254.169.254/",
            "http://[fe80::1]/",
            "http://2852039166/",
            "http://0xa9.254.169.254/",
            "http://127.1/",
            "http://10.1.2.3/",
        ] {
            assert!(guard.check_url(&Url::parse(bad).unwrap()).is_err(), "{bad}");
        }
        assert!(
            guard
                .check_url(&Url::parse("http://10.2.2.3/").unwrap())
                .is_ok()
        );
    }
}
