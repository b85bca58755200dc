//! The evaluator as its users see it: scrapes in, readings and rule states out.

mod groups;
mod invariants;
mod model;
mod native;
mod oracle;
mod plans;
mod readings;
mod rules;
mod service;
