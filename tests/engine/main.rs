//! The judge as its users see it: scrapes in, readings and rule states out.

mod invariants;
mod model;
mod oracle;
mod promtool;
mod readings;
mod rules;
mod world;
