//! L2: reads the live version: from a symbolic link, a file, an HTTP endpoint or a program. What a
//! reading means is the core's business. Never: a shell, a retry, a guess.

mod file;
mod http;
mod reader;
mod run;
mod symlink;

pub use reader::Reader;
