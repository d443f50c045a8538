//! Distinguished names as text (RFC 4514).

use x509_parser::der_parser::asn1_rs::{Tag, ToDer};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Short names of attribute types (RFC 4514 §3, RFC 4519 §2).
const TYPES: [(&str, &str); 13] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "sn"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "givenName"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The name's string representation (RFC 4514 §2): the last relative name first, values escaped. An attribute of an unknown
/// type, or whose value is no string, stands as `#` and the hexadecimal digits of its encoding (§2.4).
pub(super) fn rfc4514(name: &X509Name<'_>) -> String {
    let relative: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for (i, relative) in relative.iter().rev().enumerate() {
        for (j, attribute) in relative.iter().enumerate() {
            match (i, j) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                (_, _) => text.push('+'),
            }
            push_attribute(&mut text, attribute);
        }
    }
    text
}

fn push_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    match (TYPES.iter().find(|(id, _)| *id == oid), string_value(attribute)) {
        (Some((_, name)), Some(value)) => {
            text.push_str(name);
            text.push('=');
            push_escaped(text, &value);
        }
        (known, _) => {
            text.push_str(known.map_or(&oid, |(_, name)| name));
            text.push_str("=#");
            for byte in attribute.attr_value().to_der_vec().unwrap_or_default() {
                push_hex(text, byte);
            }
        }
    }
}

/// The value of a DirectoryString (RFC 5280 §4.1.2.4) or IA5String, if it is one.
fn string_value(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    if attribute.attr_value().tag() == Tag::BmpString {
        let units: Vec<u16> = attribute
            .as_slice()
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)))
            .collect();
        return String::from_utf16(&units).ok();
    }
    attribute.as_str().ok().map(str::to_owned)
}

/// Escapes what RFC 4514 §2.4 names, and control characters, so that a name can forge no line of a log.
fn push_escaped(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (i, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', c]),
            ' ' if i == 0 || i == last => text.push_str("\\ "),
            '#' if i == 0 => text.push_str("\\#"),
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    text.push('\\');
                    push_hex(text, byte);
                }
            }
            c => text.push(c),
        }
    }
}

fn push_hex(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        text.extend(char::from_digit(u32::from(digit), 16));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rcgen::string::BmpString;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;
    use crate::decide::client::parse;

    fn text(attributes: &[(DnType, DnValue)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in attributes {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        rfc4514(parse(certificate.der()).unwrap().subject())
    }

    #[test]
    fn the_last_relative_name_comes_first() {
        // RFC 4514 §2.1: "starting with the last element of the sequence and moving backwards toward the first".
        let dc = DnType::from_oid(&[0, 9, 2342, 19_200_300, 100, 1, 25]);
        let names =
            [(dc, "net".into()), (DnType::CountryName, "CH".into()), (DnType::CommonName, "a".into())];
        assert_eq!(text(&names), "CN=a,C=CH,DC=net");
    }

    #[test]
    fn special_characters_are_escaped() {
        // RFC 4514 §2.4: a space or '#' at the beginning, a space at the end, '"', '+', ',', ';', '<', '>', '\', null.
        let escaped = |value: &str| text(&[(DnType::CommonName, value.into())]);
        assert_eq!(escaped("James \"Jim\" Smith, III"), "CN=James \\\"Jim\\\" Smith\\, III");
        assert_eq!(escaped(" a "), "CN=\\ a\\ ");
        assert_eq!(escaped("#a#"), "CN=\\#a#");
        assert_eq!(escaped("a+b;c<d>e\\"), "CN=a\\+b\\;c\\<d\\>e\\\\");
        assert_eq!(escaped("a\0b\nc"), "CN=a\\00b\\0ac");
        assert_eq!(escaped("Lučić"), "CN=Lučić");
    }

    #[test]
    fn an_unknown_type_is_written_with_the_bytes_of_its_value() {
        // RFC 4514 §2.4: "If the AttributeType is of the dotted-decimal form, the AttributeValue is represented by an number
        // sign ('#' U+0023) character followed by the hexadecimal encoding of each of the octets of the BER encoding".
        assert_eq!(
            text(&[(DnType::from_oid(&[1, 3, 6, 1, 4, 1, 1]), "Hi".into())]),
            "1.3.6.1.4.1.1=#0c024869"
        );
    }

    #[test]
    fn a_string_of_sixteen_bit_characters_is_read() {
        let value = DnValue::BmpString(BmpString::try_from("Zoë").unwrap());
        assert_eq!(text(&[(DnType::CommonName, value)]), "CN=Zoë");
    }
}
