//! Which series of a family are about the service: one backend of a proxy, without the routes that
//! only machines ask.

use super::conventions::{Convention, MACHINES, NEVER_SCOPE, ROUTES, SUM_SCOPE};
use super::family::{LabelValues, MetricFamily};
use super::text::shown;
use crate::toml_text::MatcherText;

/// How many other backends are named.
const MAX_NAMED: usize = 5;

/// What narrows a family down, and what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scope {
    pub(super) matchers: Vec<MatcherText>,
    remarks: Vec<String>,
}

/// The part of a family that is about the service of that name.
pub(super) fn scope(family: &MetricFamily, convention: &Convention, service: &str) -> Scope {
    let mut scope = Scope::default();
    if let Some(label) = convention.scope {
        scope.backend(label, family, service);
    }
    scope.routes(family);
    scope
}

impl Scope {
    /// What there is to say, each sentence after a space.
    pub(super) fn remarks(&self) -> String {
        self.remarks.iter().map(|remark| format!(" {remark}")).collect()
    }

    /// One backend, by a label that tells them apart.
    pub(super) fn backend(&mut self, label: &str, family: &MetricFamily, service: &str) {
        let Some(values) = family.labels.get(label) else { return };
        let Some(chosen) = choose(values, service) else { return };
        self.matchers.push(MatcherText::new(label, "=", chosen));
        let others = values.seen.keys().filter(|value| *value != chosen);
        let others: Vec<_> = others.map(|value| shown(value)).collect();
        if chosen == SUM_SCOPE {
            self.remarks.push(format!("`{label}=\"*\"` already is the sum over all of them."));
        } else if !others.is_empty() {
            let named = others.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
            let more = others.len().saturating_sub(MAX_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let alike = is_named_like(chosen, service);
            let why = if alike { "named like the service" } else { "the busiest" };
            self.remarks
                .push(format!("Of several `{label}` this is {why}; the others are {named}{more}."));
        }
    }

    /// All routes but those that only machines ask, where people's are there as well.
    fn routes(&mut self, family: &MetricFamily) {
        let Some((label, values)) = ROUTES
            .iter()
            .filter_map(|label| Some((*label, family.labels.get(*label)?)))
            .find(|(_, values)| MACHINES.iter().any(|route| values.seen.contains_key(*route)))
        else {
            return;
        };
        let is_asked = |(value, (_, total)): (&String, &(u64, f64))| {
            *total > 0.0 && !MACHINES.contains(&value.as_str())
        };
        if !values.seen.iter().any(is_asked) {
            return;
        }
        let machines = MACHINES.iter().filter(|route| values.seen.contains_key(**route));
        self.matchers.extend(machines.map(|route| MatcherText::new(label, "!=", route)));
        self.remarks.push("Routes that only machines ask are left out.".to_owned());
    }
}

fn is_named_like(value: &str, service: &str) -> bool {
    value.contains(service)
}

/// The sum over all if there is one, else what is named like the service, else the busiest.
fn choose<'v>(values: &'v LabelValues, service: &str) -> Option<&'v str> {
    if values.seen.contains_key(SUM_SCOPE) {
        return Some(SUM_SCOPE);
    }
    let own = values.seen.iter().filter(|(value, _)| !NEVER_SCOPE.contains(&value.as_str()));
    let rank = |value: &str| (value == service, is_named_like(value, service));
    let best = own.max_by(|(a, (_, x)), (b, (_, y))| {
        rank(a).cmp(&rank(b)).then(x.total_cmp(y)).then(b.cmp(a))
    });
    best.map(|(value, _)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::family::tests::families;
    use super::*;
    use crate::toml_text::selector;

    #[track_caller]
    fn check(page: &str, label: Option<&'static str>, service: &str, expected: &str) {
        let page = families(page);
        let convention = Convention { scope: label, ..super::super::conventions::REQUESTS[0] };
        let found = scope(page.get("m").unwrap(), &convention, service);
        assert_eq!(selector("m", &found.matchers, ", "), expected);
    }

    #[test]
    fn a_backend_is_chosen_by_name_and_then_by_traffic() {
        let page = "m{p=\"a\"} 5\nm{p=\"web\"} 1\nm{p=\"stats\"} 90\n";
        check(page, Some("p"), "x", "m{p=\"a\"}");
        check(page, Some("p"), "web", "m{p=\"web\"}");
        check(page, Some("q"), "web", "m");
        check("m{h=\"a\"} 5\nm{h=\"*\"} 5\n", Some("h"), "a", "m{h=\"*\"}");
    }

    #[test]
    fn routes_of_machines_are_left_out_only_beside_others() {
        check("m{path=\"/metrics\"} 5\n", None, "x", "m");
        check("m{path=\"/metrics\"} 5\nm{path=\"/a\"} 0\n", None, "x", "m");
        check(
            "m{path=\"/metrics\"} 5\nm{path=\"/healthz\"} 5\nm{path=\"/a\"} 1\n",
            None,
            "x",
            "m{path!=\"/metrics\", path!=\"/healthz\"}",
        );
    }
}
