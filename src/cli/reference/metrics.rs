//! Every metric, read from the text that `/metrics` answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;

use super::markdown::{Page, code, prose};
use crate::cli::CliError;
use crate::metrics::{FileTime, Registry};

pub(super) fn page() -> Result<String, CliError> {
    let text = sample().render().map_err(|error| CliError::Failed(format!("the metrics: {error}")))?;
    let about = "`GET /metrics` of the admin port, in Prometheus' text format. Times are in seconds, sizes in bytes. What can stand in a \
        label is bounded: the words shown here, or what the configuration names.";
    let rows = families(&text).into_iter().map(|family| {
        let labels =
            family.labels.iter().map(|(name, values)| label(name, values)).collect::<Vec<_>>().join(", ");
        [code(&family.name), family.kind, labels, prose(&family.help)]
    });
    Ok(Page::new("Metrics").paragraph(about).table(["metric", "type", "labels", "meaning"], rows).finish())
}

/// A registry in which every family has a series.
fn sample() -> Registry {
    let registry = Registry::new(vec![Arc::default()], Counter::default());
    registry.issuer("issuer");
    registry.introspections().announce("issuer");
    let file = || vec![FileTime { file: "file".to_owned(), seconds: 0 }];
    registry.certificates(file());
    registry.crls(file());
    registry
}

#[derive(Debug, Default)]
struct Family {
    /// With the suffix of its series.
    name: String,
    kind: String,
    help: String,
    /// Names of labels and the values that they have in the text.
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// The families of an exposition, in its order. What Prometheus' format demands of one is taken for granted here.
fn families(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            let help = help.trim_end_matches('.').to_owned() + ".";
            families.push(Family { name: name.to_owned(), help, ..Family::default() });
            continue;
        }
        let Some(family) = families.last_mut() else { continue };
        if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kind.clone_into(&mut family.kind);
        } else if let Some((_, labels)) = line.split_once('{') {
            let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
            // The bounds of a histogram's buckets are Prometheus' own label.
            let labels =
                labels.split(',').filter_map(|label| label.split_once('=')).filter(|(name, _)| *name != "le");
            for (name, value) in labels {
                let values = family.labels.entry(name.to_owned()).or_default();
                values.insert(value.trim_matches('"').to_owned());
            }
        }
    }
    families
}

fn label(name: &str, values: &BTreeSet<String>) -> String {
    let words = values.iter().map(|value| code(value)).collect::<Vec<_>>().join(" ");
    match name {
        "decision" | "outcome" => format!("{} ({words})", code(name)),
        "reason" => format!("{} (`none` or a [reason](reasons.md))", code(name)),
        _ => code(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_of_the_sample_is_described() {
        for family in families(&sample().render().unwrap_or_default()) {
            assert!(family.help.len() > 10 && !family.kind.is_empty(), "{family:?}");
        }
    }

    #[test]
    fn families_are_read_with_their_labels() {
        let text = "# HELP a_total Some words\n# TYPE a_total counter\na_total{x=\"1\",y=\"b\"} 0\na_total{x=\"2\",y=\"b\"} 0\n\
                    # HELP b Others.\n# TYPE b gauge\nb 1\n";
        let families = families(text);
        let labels: Vec<_> =
            families[0].labels.iter().map(|(name, values)| (name.as_str(), values.len())).collect();
        assert_eq!(labels, [("x", 2), ("y", 1)]);
        assert_eq!((families[0].name.as_str(), families[0].kind.as_str()), ("a_total", "counter"));
        assert_eq!((families[0].help.as_str(), families[1].help.as_str()), ("Some words.", "Others."));
        assert!(families[1].labels.is_empty());
    }
}
