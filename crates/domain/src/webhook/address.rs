//! Where a webhook may send to: addresses of the public internet, by https.

use crate::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// The most characters of an address.
const MAX: usize = 500;

/// An address that a webhook may send to. Where its host leads is looked at when it is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    url: Url,
}

impl WebhookUrl {
    /// Reads an address. Without `private`, it is one of https, and no number that leads into a private network, in
    /// whatever way the number is written.
    ///
    /// # Errors
    /// `Invalid`, with the rule that it breaks.
    pub fn parse(text: &str, private: bool) -> Result<Self, Error> {
        let refused = |why: &str| Err(Error::invalid_field("url", format!("The URL {why}")));
        if text.trim().is_empty() {
            return refused("is missing: give the address that deliveries are sent to.");
        }
        if text.chars().count() > MAX {
            return refused("is too long: it has at most 500 characters.");
        }
        // What follows leaves these out or reads them as something else, and people read them otherwise.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return refused("holds a space, a backslash or a control character.");
        }
        let Ok(url) = Url::parse(text) else {
            return refused("is none. It looks like https://ci.example.com/hooks/registry.");
        };
        match url.scheme() {
            "https" => {}
            "http" if private => {}
            "http" => return refused("begins with http://, which anybody on the way can read; give one of https://."),
            _ => return refused("begins with something else than https://."),
        }
        if !url.username().is_empty() || url.password().is_some() || has_userinfo(text) {
            return refused("holds a user or password; sign deliveries with a secret instead.");
        }
        if url.fragment().is_some() {
            return refused("holds a fragment, which is never sent; leave out what begins with #.");
        }
        if url.port() == Some(0) {
            return refused("names port 0, which nobody listens on.");
        }
        let address = match url.host() {
            None => return refused("names no host."),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        if !private && address.is_some_and(|address| !is_public(address)) {
            return refused("leads into a private network; webhooks send to public addresses only.");
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address as it is connected to.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The host, without the brackets of a number.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }
}

/// Whether something stands before an at sign, were it nothing: `https://@host`.
fn has_userinfo(text: &str) -> bool {
    let after_scheme = text.split_once("//").map_or(text, |(_, rest)| rest);
    after_scheme.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// Whether an address is one of the public internet: of no private, local, shared, multicast, documentation or other
/// special network (IANA's special-purpose address registries), and no form of IPv6 that stands for such a one.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    const SPECIAL: [(Ipv4Addr, u32); 16] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8),
        (Ipv4Addr::new(10, 0, 0, 0), 8),
        (Ipv4Addr::new(100, 64, 0, 0), 10),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(169, 254, 0, 0), 16),
        (Ipv4Addr::new(172, 16, 0, 0), 12),
        (Ipv4Addr::new(192, 0, 0, 0), 24),
        (Ipv4Addr::new(192, 0, 2, 0), 24),
        (Ipv4Addr::new(192, 31, 196, 0), 24),
        (Ipv4Addr::new(192, 52, 193, 0), 24),
        (Ipv4Addr::new(192, 88, 99, 0), 24),
        (Ipv4Addr::new(192, 168, 0, 0), 16),
        (Ipv4Addr::new(198, 18, 0, 0), 15),
        (Ipv4Addr::new(198, 51, 100, 0), 24),
        (Ipv4Addr::new(203, 0, 113, 0), 24),
        // Multicast, and what is kept for later.
        (Ipv4Addr::new(224, 0, 0, 0), 3),
    ];
    SPECIAL.iter().all(|(network, length)| (address.to_bits() ^ network.to_bits()) >> (32 - length) != 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // Mapped, and translated by NAT64: what is reached is the IPv4 address.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // 6to4.
        [0x2002, high, low, ..] => embedded(high, low),
        // Protocols (Teredo, benchmarks, ORCHID), documentation.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x3fff, second, ..] => second >= 0x1000,
        // Nothing else than this is given to networks of the internet.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match WebhookUrl::parse(text, false) {
            Ok(_) => panic!("{text} is taken"),
            Err(error) => {
                assert_eq!(error.field.as_deref(), Some("url"));
                error.message
            }
        }
    }

    #[test]
    fn an_address_is_kept_as_it_was_given() {
        for text in ["https://ci.example.com", "https://ci.example.com:8443/a?b=c@d", "https://1.1.1.1/", "HTTPS://A.b"]
        {
            assert_eq!(WebhookUrl::parse(text, false).unwrap().as_str(), text);
        }
        assert_eq!(WebhookUrl::parse("https://[2606:4700::1111]/x", false).unwrap().host(), "2606:4700::1111");
    }

    #[test]
    fn what_is_no_address_of_https_is_refused() {
        for text in [
            "",
            " ",
            "ci.example.com",
            "https:",
            "https://",
            "https:///",
            "ftp://a.example",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://a b.example",
            "https://a.example/\n",
            "https://a.example\\@127.0.0.1/",
            "https://a\u{0}b.example",
            "https://user@a.example",
            "https://user:word@a.example",
            "https://@a.example",
            "https://:@a.example",
            "https://a.example#part",
            "https://a.example/#",
            "https://a.example:0/",
            "https://a.example:99999/",
            "https://[::1",
            "https://1.2.3.4.5/",
            "https://256.1.1.1/",
            &format!("https://a.example/{}", "x".repeat(500)),
        ] {
            assert!(refused(text).len() < 300, "{text}");
        }
        assert!(refused("http://a.example/").contains("anybody on the way can read"));
        assert!(WebhookUrl::parse("http://a.example/", true).is_ok());
        assert!(WebhookUrl::parse("ftp://a.example/", true).is_err());
    }

    #[test]
    fn a_private_address_is_refused_however_it_is_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "0x7f000001",
            "0x7f.1",
            "2130706433",
            "017700000001",
            "0177.0.0.01",
            "0",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "%31%32%37.0.0.1",
            "①②⑦.0.0.1",
            "127。0。0。1",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2002:a00:1::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[fe80::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fec0::1]",
            "[ff02::1]",
            "[100::1]",
            "[5f00::1]",
        ] {
            let text = format!("https://{host}/hook");
            assert!(refused(&text).contains("leads into a private network"), "{text}");
            assert!(WebhookUrl::parse(&text, true).is_ok(), "{text} where it is allowed");
        }
    }

    #[test]
    fn a_public_address_is_taken() {
        for host in [
            "1.1.1.1",
            "16843009",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "223.255.255.255",
            "[2606:4700::1111]",
            "[2001:4860:4860::8888]",
            "[::ffff:1.1.1.1]",
            "[64:ff9b::1.1.1.1]",
            "[2002:101:101::1]",
            "[2a00::1]",
            "a.example",
        ] {
            assert!(WebhookUrl::parse(&format!("https://{host}/hook"), false).is_ok(), "{host}");
        }
    }
}
