//! The judge as its users see it: scrapes in, readings and rule states out.

mod readings;
mod rules;
mod world;
