//! Every dependency's licence and name against deny.toml, without cargo-deny: a copyleft licence
//! that slips in with an update must not wait for a release to be noticed.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs cargo in the package's directory, without a network.
fn cargo(arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(cargo).args(arguments).current_dir(root).output().unwrap()
}

/// All packages of the lock file; where only this platform's are downloaded, those.
fn packages() -> Vec<Value> {
    let all = ["metadata", "--format-version", "1", "--offline", "--locked"];
    let mut output = cargo(&all);
    if !output.status.success() {
        println!("only this platform's dependencies are downloaded; `cargo fetch` gets all");
        output = cargo(&[&all[..], &["--filter-platform", &host()]].concat());
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let resolved: Vec<_> = metadata["resolve"]["nodes"].as_array().unwrap().iter().collect();
    let is_used = |package: &&Value| resolved.iter().any(|node| node["id"] == package["id"]);
    metadata["packages"].as_array().unwrap().iter().filter(is_used).cloned().collect()
}

fn host() -> String {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(version.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn deny() -> toml::Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml");
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// Whether what is allowed satisfies an SPDX expression; `a/b` is the old way to write `a OR b`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let spaced = spaced.replace(" WITH ", "+WITH+");
    let tokens: Vec<_> = spaced.split_whitespace().map(|t| t.replace("+WITH+", " WITH ")).collect();
    let mut rest = tokens.as_slice();
    any(&mut rest, allowed) && rest.is_empty()
}

/// `all OR all OR …`
fn any(rest: &mut &[String], allowed: &[&str]) -> bool {
    let mut satisfied = all(rest, allowed);
    while take(rest, "OR") {
        satisfied |= all(rest, allowed);
    }
    satisfied
}

/// `one AND one AND …`
fn all(rest: &mut &[String], allowed: &[&str]) -> bool {
    let mut satisfied = one(rest, allowed);
    while take(rest, "AND") {
        satisfied &= one(rest, allowed);
    }
    satisfied
}

/// A licence or a parenthesis. Nothing at all satisfies nobody.
fn one(rest: &mut &[String], allowed: &[&str]) -> bool {
    if take(rest, "(") {
        let satisfied = any(rest, allowed);
        return take(rest, ")") && satisfied;
    }
    let Some((first, behind)) = rest.split_first() else { return false };
    *rest = behind;
    allowed.contains(&first.as_str())
}

fn take(rest: &mut &[String], token: &str) -> bool {
    let taken = rest.first().is_some_and(|first| first == token);
    if taken {
        *rest = &rest[1..];
    }
    taken
}

/// Whether a package is one that a ban such as `openssl` or `evalexpr@>=12` means.
fn is_banned(name: &str, version: &str, ban: &str) -> bool {
    let Some((banned, since)) = ban.split_once("@>=") else { return name == ban };
    let major: u64 = version.split('.').next().unwrap().parse().unwrap();
    name == banned && major >= since.parse().unwrap()
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let deny = deny();
    let allowed = deny["licenses"]["allow"].as_array().unwrap();
    let allowed: Vec<_> = allowed.iter().map(|licence| licence.as_str().unwrap()).collect();
    let packages = packages();
    assert!(packages.len() > 20, "only {} packages seen", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("");
        let (name, version) = (&package["name"], &package["version"]);
        assert!(is_allowed(licence, &allowed), "{name} {version} is {licence:?}; see deny.toml");
    }
}

#[test]
fn no_dependency_is_banned_and_all_come_from_the_registry() {
    let deny = deny();
    let bans = deny["bans"]["deny"].as_array().unwrap();
    for package in packages() {
        let (name, version) = (package["name"].as_str().unwrap(), &package["version"]);
        for ban in bans {
            let banned = is_banned(name, version.as_str().unwrap(), ban["crate"].as_str().unwrap());
            assert!(!banned, "{name} {version}: {:?}", ban["reason"]);
        }
        let source = package["source"].as_str();
        let is_known =
            source.is_none_or(|s| s.starts_with("registry+https://github.com/rust-lang/"));
        assert!(is_known && (source.is_some() || name == "rollguard"), "{name} is from {source:?}");
    }
}

#[test]
fn an_expression_is_satisfied_by_what_is_allowed_only() {
    let check = |expression: &str| is_allowed(expression, &["MIT", "ISC", "A WITH B"]);
    for fine in ["MIT", "GPL OR MIT", "GPL/MIT", "MIT AND ISC", "(GPL OR MIT) AND ISC", "A WITH B"]
    {
        assert!(check(fine), "{fine}");
    }
    for bad in ["", "GPL", "MIT AND GPL", "MIT AND (GPL OR A)", "A", "MIT ISC", "(MIT"] {
        assert!(!check(bad), "{bad}");
    }
}

#[test]
fn a_ban_may_start_at_a_version() {
    assert!(is_banned("evalexpr", "12.0.0", "evalexpr@>=12"));
    assert!(is_banned("evalexpr", "13.1.0", "evalexpr@>=12"));
    assert!(!is_banned("evalexpr", "11.3.1", "evalexpr@>=12"));
    assert!(is_banned("openssl", "0.10.1", "openssl"));
    assert!(!is_banned("openssl-probe", "0.2.0", "openssl"));
}
