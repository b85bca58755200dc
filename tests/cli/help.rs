//! What `--help` says: every command has one, it fits a terminal, and it has an example.

use std::process::Command;

/// The columns of a terminal.
const COLUMNS: usize = 80;

fn help(command: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rollguard")).args(command).arg("--help").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that a help lists.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Every command below one, itself included, with its help.
fn all(command: &[String]) -> Vec<(String, String)> {
    let text = help(command);
    let below: Vec<_> =
        listed(&text).into_iter().flat_map(|name| all(&[command, &[name]].concat())).collect();
    std::iter::once((command.join(" "), text)).chain(below).collect()
}

#[test]
fn no_help_is_wider_than_a_terminal() {
    let commands = all(&[]);
    assert!(commands.len() > 10, "{}", commands.len());
    let wide = commands.iter().flat_map(|(command, text)| {
        let lines = text.lines().filter(|line| line.chars().count() > COLUMNS);
        lines.map(move |line| format!("{command}: {line}"))
    });
    assert_eq!(wide.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_command_shows_an_example() {
    let commands = all(&[]);
    let leaves = commands.iter().filter(|(_, text)| !text.contains("\nCommands:\n"));
    let without = leaves.filter(|(_, text)| !text.contains("Example"));
    assert_eq!(without.map(|(command, _)| command).collect::<Vec<_>>(), Vec::<&String>::new());
}
