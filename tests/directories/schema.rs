//! The attributes of Exchange that no server has by itself, with Exchange's own object identifiers.

pub struct Attribute {
    pub name: &'static str,
    /// In AD's schema.
    pub common_name: &'static str,
    pub oid: &'static str,
    pub syntax: Syntax,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    DistinguishedName,
    Boolean,
}

pub const RESTRICTIONS: [Attribute; 5] = [
    restriction("authOrig", "Auth-Orig", "1.2.840.113556.1.2.129"),
    restriction("unauthOrig", "Unauth-Orig", "1.2.840.113556.1.2.221"),
    restriction("dLMemSubmitPerms", "DL-Mem-Submit-Perms", "1.2.840.113556.1.2.144"),
    restriction("dLMemRejectPerms", "DL-Mem-Reject-Perms", "1.2.840.113556.1.2.47"),
    Attribute {
        syntax: Syntax::Boolean,
        ..restriction(
            "msExchRequireAuthToSendTo",
            "ms-Exch-Require-Auth-To-Send-To",
            "1.2.840.113556.1.4.5062",
        )
    },
];

const fn restriction(
    name: &'static str,
    common_name: &'static str,
    oid: &'static str,
) -> Attribute {
    Attribute { name, common_name, oid, syntax: Syntax::DistinguishedName }
}

/// What may be on every mail recipient of a server that speaks RFC 4512, beside its own attributes:
/// attribute types and then one auxiliary class, `gatepostTestRecipient`. The class's identifier is
/// from the number for examples (RFC 5612).
pub fn definitions(own: &[&str]) -> (Vec<String>, String) {
    let mut types = vec![
        "( 1.2.840.113556.1.2.210 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch \
          SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )"
            .to_string(),
    ];
    types.extend(RESTRICTIONS.iter().map(|Attribute { name, oid, syntax, .. }| {
        let syntax = match syntax {
            Syntax::DistinguishedName => {
                "EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12"
            }
            Syntax::Boolean => {
                "EQUALITY booleanMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.7 SINGLE-VALUE"
            }
        };
        format!("( {oid} NAME '{name}' {syntax} )")
    }));
    let names = RESTRICTIONS.iter().map(|attribute| attribute.name);
    let names: Vec<&str> = ["mail", "proxyAddresses"].into_iter().chain(names).collect();
    let names = [&names, own].concat().join(" $ ");
    let class = format!(
        "( 1.3.6.1.4.1.32473.1.1 NAME 'gatepostTestRecipient' SUP top AUXILIARY MAY ( {names} ) )"
    );
    (types, class)
}
