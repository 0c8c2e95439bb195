//! Networks in CIDR, host names and certificate fingerprints.

use std::net::IpAddr;

use ipnet::IpNet;

/// An address or a network whose host bits are 0.
pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let net: IpNet = text.parse().map_err(|_| {
        format!("\"{text}\" is refused: expected an address or a network such as \"192.0.2.0/24\" or \"2001:db8::/32\"")
    })?;
    if net.trunc() != net {
        return Err(format!(
            "\"{text}\" is refused: it has bits set behind its prefix; did you mean \"{}\"?",
            net.trunc()
        ));
    }
    if let IpNet::V6(mapped) = net
        && let Some(address) = mapped.addr().to_ipv4_mapped()
        && mapped.prefix_len() >= 96
    {
        // Clients are held as IPv4, so the mapped form would match none.
        return Err(format!(
            "\"{text}\" is refused: write it as IPv4, \"{address}/{}\"",
            mapped.prefix_len() - 96
        ));
    }
    Ok(net)
}

/// A domain or host name, or `.name` for everything below it; in lower case.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('.').unwrap_or(text);
    let folded = crate::mail::fold_domain(bare);
    let is_literal = folded.starts_with('[') && folded.ends_with(']');
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if !is_literal && (folded.is_empty() || !folded.split('.').all(is_label)) {
        return Err(format!(
            "\"{text}\" is refused: expected a domain such as \"example.org\", or \".example.org\" for all below it"
        ));
    }
    Ok(if text.starts_with('.') { format!(".{folded}") } else { folded })
}

/// A SHA-256 fingerprint in hex, with or without colons.
pub(super) fn parse_fingerprint(text: &str) -> Result<String, String> {
    let digits: String =
        text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    Err(format!(
        "\"{text}\" is refused: expected a SHA-256 fingerprint of 64 hex digits (Postfix: smtpd_tls_fingerprint_digest = sha256)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_no_host_bits() {
        assert_eq!(parse_network("192.0.2.9").expect("a host").to_string(), "192.0.2.9/32");
        assert_eq!(parse_network("2001:db8::/32").expect("a network").to_string(), "2001:db8::/32");
        let fault = parse_network("192.0.2.9/24").expect_err("host bits");
        assert!(fault.contains("did you mean \"192.0.2.0/24\"?"), "{fault}");
        assert!(parse_network("192.0.2/24").is_err());
        let fault = parse_network("::ffff:192.0.2.0/120").expect_err("mapped");
        assert!(fault.contains("\"192.0.2.0/24\""), "{fault}");
    }

    #[test]
    fn names_are_folded_and_checked() {
        assert_eq!(parse_name("Example.ORG"), Ok("example.org".into()));
        assert_eq!(parse_name(".Example.org"), Ok(".example.org".into()));
        assert_eq!(parse_name("bücher.example"), Ok("xn--bcher-kva.example".into()));
        assert_eq!(parse_name("[192.0.2.1]"), Ok("[192.0.2.1]".into()));
        for text in ["", ".", "a..b", "a b", "*.example.org", "user@example.org", "192.0.2.0/24"] {
            assert!(parse_name(text).is_err(), "{text}");
        }
    }
}
