//! Commands that people roll back with, and which of them do something else when they are run a
//! second time, or not what they seem to do. It must never call bad what names where to go.

use std::path::Path;

/// A command and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Habit {
    pub(crate) what: &'static str,
    pub(crate) kind: Kind,
    pub(crate) instead: &'static str,
}

/// What is wrong with a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Goes back to whatever came before: run twice it goes forward again.
    Toggles,
    /// Goes one step back: run twice it goes two.
    Steps,
    /// Makes another deployment each time, be it of the same version.
    Repeats,
    /// Names whatever is newest, which is the bad version by then.
    Newest,
    /// Leaves a moment in which there is neither the old nor the new.
    HasAGap,
    /// Ends up in the directory that it was to replace.
    GoesInto,
}

impl Kind {
    const fn of(self, what: &'static str, instead: &'static str) -> Habit {
        Habit { what, kind: self, instead }
    }
}

/// The commands of a program with its arguments, each the words of one: a script for a shell is
/// one argument and several commands.
pub(crate) fn commands(argv: &[String]) -> Vec<Vec<&str>> {
    let ends = |word: &&str| ["&&", "||", "|", ";"].contains(word);
    let words: Vec<&str> = argv.iter().flat_map(|word| word.split_whitespace()).collect();
    words.split(ends).map(<[&str]>::to_vec).collect()
}

/// The program that a word names.
pub(crate) fn program(word: &str) -> Option<&str> {
    Path::new(word).file_name().and_then(|name| name.to_str())
}

/// What is wrong with a command, where it is one of those that are known. The program may stand
/// anywhere in it, after `sudo` or `sh -c`.
pub(crate) fn habit(command: &[&str]) -> Option<Habit> {
    command.iter().enumerate().find_map(|(at, word)| {
        let (name, rest) = (program(word)?, &command[at + 1..]);
        of_orchestrator(name, rest)
            .or_else(|| of_cloud(name, rest))
            .or_else(|| of_git(name, rest))
            .or_else(|| of_host(name, rest))
            .or_else(|| of_database(name, rest))
    })
}

/// The words after this one.
fn after<'r, 'w>(rest: &'r [&'w str], word: &str) -> Option<&'r [&'w str]> {
    rest.iter().position(|w| *w == word).map(|at| &rest[at + 1..])
}

/// Whether the words come one after another, whatever else stands between them.
fn in_order(rest: &[&str], words: &[&str]) -> bool {
    words.iter().try_fold(rest, |rest, word| after(rest, word)).is_some()
}

/// The value of a flag, `--flag=value` or `--flag value`.
fn value<'w>(rest: &[&'w str], flag: &str) -> Option<&'w str> {
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        if let Some(value) = word.strip_prefix(flag) {
            match value.strip_prefix('=') {
                Some(value) => return Some(value),
                None if value.is_empty() => return words.next().copied(),
                None => {}
            }
        }
    }
    None
}

fn of_orchestrator(name: &str, rest: &[&str]) -> Option<Habit> {
    match name {
        "kubectl" | "kubectl-argo-rollouts" | "oc" => of_kubectl(name, rest),
        "helm" => {
            let operands = operands(after(rest, "rollback")?);
            let pinned = operands.get(1).is_some_and(|revision| *revision != "0");
            let instead = "name the revision after the release";
            (!pinned).then(|| Kind::Toggles.of("helm rollback", instead))
        }
        "argocd" => {
            let pinned = operands(after(after(rest, "app")?, "rollback")?).len() > 1;
            let instead = "name the id after the application";
            (!pinned).then(|| Kind::Toggles.of("argocd app rollback", instead))
        }
        "docker" | "podman" => {
            let instead = "use `docker service update --image`";
            let toggles = Kind::Toggles.of("docker service rollback", instead);
            let service = after(rest, "service");
            let rolls = service.is_some_and(|rest| {
                rest.contains(&"rollback") || in_order(rest, &["update", "--rollback"])
            });
            rolls.then_some(toggles).or_else(|| latest(rest))
        }
        "nomad" => {
            let operands = operands(after(rest, "revert")?);
            let pinned = operands.get(1).is_some_and(|version| !version.starts_with('-'));
            let instead = "name the version after the job";
            (!pinned).then(|| Kind::Toggles.of("nomad job revert", instead))
        }
        "cap" => {
            after(rest, "deploy:rollback")?;
            let instead = "deploy the good revision by its name";
            Some(Kind::Toggles.of("cap deploy:rollback", instead))
        }
        _ => None,
    }
}

fn of_kubectl(name: &str, rest: &[&str]) -> Option<Habit> {
    let rollouts = name == "kubectl-argo-rollouts"
        || rest.iter().any(|word| ["rollout", "rollouts"].contains(word));
    if rollouts && rest.contains(&"undo") {
        let pinned = value(rest, "--to-revision").is_some_and(|revision| revision != "0");
        let instead = "add `--to-revision` or set the image";
        return (!pinned).then(|| Kind::Toggles.of("kubectl rollout undo", instead));
    }
    if in_order(rest, &["set", "image"]) { latest(rest) } else { None }
}

/// An image whose name says "whatever is newest".
fn latest(rest: &[&str]) -> Option<Habit> {
    let instead = "name the image by its digest";
    rest.iter().any(|word| word.ends_with(":latest")).then(|| Kind::Newest.of(":latest", instead))
}

fn of_cloud(name: &str, rest: &[&str]) -> Option<Habit> {
    match name {
        "aws" if in_order(rest, &["deploy", "create-deployment"]) => {
            let instead = "give it one attempt, and let the cure tell after an interruption";
            Some(Kind::Repeats.of("aws deploy create-deployment", instead))
        }
        "aws" if in_order(rest, &["ecs", "update-service"]) => {
            let what = "--task-definition";
            let family = value(rest, "--task-definition")?;
            let instead = "write `--task-definition FAMILY:REVISION`";
            (!family.contains(':') && family != "{}").then(|| Kind::Newest.of(what, instead))
        }
        "gcloud" if in_order(rest, &["deploy", "targets", "rollback"]) => {
            let what = "gcloud deploy targets rollback";
            Some(match value(rest, "--release") {
                None => Kind::Toggles.of(what, "name the release with `--release`"),
                Some(_) => Kind::Repeats.of(what, "give it one attempt"),
            })
        }
        "gcloud" if in_order(rest, &["update-traffic", "--to-latest"]) => {
            let instead = "write `--to-revisions=REVISION=100`";
            Some(Kind::Newest.of("--to-latest", instead))
        }
        "heroku" => {
            let verb = |word: &&str| ["rollback", "releases:rollback"].contains(word);
            let at = rest.iter().position(verb)?;
            let instead = "name the release, as in `heroku rollback v40`";
            operands(&rest[at + 1..])
                .is_empty()
                .then(|| Kind::Toggles.of("heroku rollback", instead))
        }
        _ => None,
    }
}

fn of_git(name: &str, rest: &[&str]) -> Option<Habit> {
    if name != "git" {
        return None;
    }
    let is_relative = |word: &&&str| {
        let from_head = word.strip_prefix("HEAD").or_else(|| word.strip_prefix('@'));
        from_head.is_some_and(|rest| rest.starts_with(['~', '^']))
    };
    let instead = "name the good commit";
    if let Some(rest) = after(rest, "revert") {
        let is_head = |word: &&str| word.starts_with("HEAD") || word.starts_with('@');
        return rest.iter().any(is_head).then(|| Kind::Toggles.of("git revert HEAD", instead));
    }
    let verb = |word: &&str| ["checkout", "switch", "reset"].contains(word);
    let rest = &rest[rest.iter().position(verb)? + 1..];
    if rest.contains(&"-") {
        return Some(Kind::Toggles.of("git checkout -", instead));
    }
    if rest.iter().any(|word| word.contains("@{") || *word == "ORIG_HEAD") {
        return Some(Kind::Toggles.of("git reset ORIG_HEAD", instead));
    }
    rest.iter().find(is_relative).map(|_| Kind::Steps.of("git reset HEAD~1", instead))
}

fn of_host(name: &str, rest: &[&str]) -> Option<Habit> {
    match name {
        "rpm-ostree" | "bootc" => {
            after(rest, "rollback")?;
            let instead = "deploy the good version or image by its name";
            Some(Kind::Toggles.of("rpm-ostree rollback", instead))
        }
        "snap" => {
            let rest = after(rest, "revert")?;
            let instead = "add `--revision`";
            value(rest, "--revision").is_none().then(|| Kind::Steps.of("snap revert", instead))
        }
        "nixos-rebuild" | "nix-env" => {
            rest.contains(&"--rollback").then_some(())?;
            Some(Kind::Steps.of("nix-env --rollback", "use `--switch-generation NUMBER`"))
        }
        "curl" => rest.iter().find_map(|word| of_url(word.trim_matches(['"', '\'']))),
        "ln" => link(rest),
        _ => None,
    }
}

/// A URL that turns something over.
pub(crate) fn of_url(url: &str) -> Option<Habit> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    if query.split('&').any(|pair| pair == "rollback=previous") {
        let instead = "update the service with the good image";
        return Some(Kind::Toggles.of("rollback=previous", instead));
    }
    let toggles = path.contains("://") && path.ends_with("/toggle");
    toggles.then(|| Kind::Toggles.of("/toggle", "ask for `on` or `off`"))
}

fn of_database(name: &str, rest: &[&str]) -> Option<Habit> {
    let steps = |what, instead| Some(Kind::Steps.of(what, instead));
    let verb = |words: &[&str]| rest.iter().any(|word| words.contains(word)).then_some(());
    match name {
        "alembic" => {
            let target = after(rest, "downgrade")?.iter().find(|w| !w.starts_with("--"))?;
            target.starts_with('-').then_some(())?;
            steps("alembic downgrade -1", "name the revision to go back to")
        }
        "goose" => {
            verb(&["down"])?;
            steps("goose down", "use `goose down-to VERSION`")
        }
        "migrate" => {
            verb(&["down"])?;
            steps("migrate down", "use `migrate goto VERSION`")
        }
        "dbmate" => {
            verb(&["down", "rollback"])?;
            steps("dbmate down", "migrate forward to the good schema")
        }
        "rake" | "rails" => {
            verb(&["db:rollback"])?;
            steps("rails db:rollback", "use `rails db:migrate VERSION=…`")
        }
        "sequelize" | "sequelize-cli" => {
            verb(&["db:migrate:undo"])?;
            steps("sequelize db:migrate:undo", "use `db:migrate:undo:all --to NAME`")
        }
        "flyway" => {
            verb(&["undo"])?;
            let pinned = value(rest, "-target").is_some();
            (!pinned).then(|| Kind::Steps.of("flyway undo", "add `-target=VERSION`"))
        }
        "artisan" | "knex" => {
            verb(&["migrate:rollback", "migrate:down"])?;
            steps("migrate:rollback", "migrate forward to the good schema")
        }
        "mix" => {
            verb(&["ecto.rollback"])?;
            let pinned = value(rest, "--to").or(value(rest, "--to-exclusive")).is_some();
            (!pinned).then(|| Kind::Steps.of("mix ecto.rollback", "add `--to VERSION`"))
        }
        _ => None,
    }
}

fn link(rest: &[&str]) -> Option<Habit> {
    let is_short = |word: &&&str| word.starts_with('-') && !word.starts_with("--");
    let has = |short: char, long: &str| {
        rest.iter().filter(is_short).any(|word| word.contains(short)) || rest.contains(&long)
    };
    let instead = "make a link of another name, then `mv -T` it over the old one";
    (has('s', "--symbolic") && has('f', "--force")).then(|| Kind::HasAGap.of("ln -sf", instead))
}

/// The words that are neither flags nor values of flags. A negative number is one.
fn operands<'w>(words: &[&'w str]) -> Vec<&'w str> {
    const WITH_VALUE: [&str; 10] = [
        "-n",
        "--namespace",
        "--timeout",
        "--history-max",
        "--kube-context",
        "--kubeconfig",
        "-namespace",
        "-a",
        "--app",
        "-r",
    ];
    let is_number = |word: &str| word[1..].parse::<u64>().is_ok();
    let mut operands = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(word) {
            words.next();
        } else if !word.starts_with('-') || is_number(word) {
            operands.push(*word);
        }
    }
    operands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_must_not_run_twice_are_told_from_those_that_name_where_to_go() {
        let check = |line: &str, kind: Option<Kind>| {
            let argv: Vec<String> = line.split('|').map(str::to_owned).collect();
            let found = commands(&argv).iter().find_map(|command| habit(command));
            assert_eq!(found.map(|habit| habit.kind), kind, "{line}");
        };
        let (toggles, steps, gap) = (Some(Kind::Toggles), Some(Kind::Steps), Some(Kind::HasAGap));
        let (repeats, newest) = (Some(Kind::Repeats), Some(Kind::Newest));
        check("kubectl|-n|prod|rollout|undo|deployment/api", toggles);
        check("kubectl|rollout|undo|deployment/api|--to-revision=0", toggles);
        check("/usr/bin/kubectl|argo|rollouts|undo|api", toggles);
        check("kubectl|rollout|undo|deployment/api|--to-revision=3", None);
        check("kubectl|rollout|undo|deployment/api|--to-revision|3", None);
        check("kubectl|rollout|status|deployment/api", None);
        check("kubectl|set|image|deployment/api|c=repo/api@sha256:1", None);
        check("helm|rollback|api", toggles);
        check("helm|-n|prod|rollback|api|-n|prod|--wait|--timeout|5m", toggles);
        check("helm|rollback|api|0", toggles);
        check("helm|rollback|api|12|--wait", None);
        check("helm|-n|prod|rollback|--wait|api|12", None);
        check("sudo|docker|service|rollback|web", toggles);
        check("docker|service|update|--image|repo/api@sha256:1|web", None);
        check("/usr/local/bin/rollback|api", None);
        check("bundle|exec|cap|production|deploy:rollback", toggles);
        check("nomad|job|revert|api", toggles);
        check("nomad|job|revert|api|-1", toggles);
        check("nomad|job|revert|-namespace|prod|api|12", None);
        check("alembic|downgrade|-1", steps);
        check("alembic|downgrade|ae1027a6acf", None);
        check("goose|postgres|dsn|down", steps);
        check("goose|postgres|dsn|down-to|12", None);
        check("migrate|-path|m|down|1", steps);
        check("bin/rails|db:rollback", steps);
        check("rails|db:migrate|VERSION=3", None);
        check("ln|-sfn|releases/v1|current", gap);
        check("ln|-s|-f|releases/v1|current", gap);
        check("ln|-s|releases/v1|current.new", None);
        check("sh|-c|helm rollback \"$1\" && echo 3|sh|api", toggles);
        check("kubectl|set|image|deployment/api|c=repo/api:latest", newest);
        check("kubectl-argo-rollouts|undo|api|--to-revision|3", None);
        check("kubectl|argo|rollouts|abort|api", None);
        check("argocd|app|rollback|api", toggles);
        check("argocd|app|rollback|api|7", None);
        check("docker|service|update|--rollback|web", toggles);
        check("docker|service|update|--image|repo/api:latest|web", newest);
        check("docker|run|--rm|{}", None);
        check("nomad|job|revert|api|{}", None);
        check("aws|deploy|create-deployment|--application-name|api", repeats);
        check("aws|deploy|stop-deployment|--deployment-id|d-1", None);
        check("aws|ecs|update-service|--task-definition|api", newest);
        check("aws|ecs|update-service|--task-definition|api:42", None);
        check("aws|ecs|update-service|--task-definition={}", None);
        check("gcloud|deploy|targets|rollback|prod", toggles);
        check("gcloud|deploy|targets|rollback|prod|--release=r1", repeats);
        check("gcloud|run|services|update-traffic|api|--to-latest", newest);
        check("gcloud|run|services|update-traffic|api|--to-revisions=r1=100", None);
        check("heroku|rollback|-a|api", toggles);
        check("heroku|releases:rollback|v40|--app|api", None);
        check("git|-C|/srv/app|revert|--no-edit|HEAD", toggles);
        check("git|revert|--no-edit|4d1f3b2", None);
        check("git|checkout|-", toggles);
        check("git|reset|--hard|HEAD@{1}", toggles);
        check("git|reset|--hard|HEAD~1", steps);
        check("git|reset|--hard|@^", steps);
        check("git|checkout|{}", None);
        check("git|reset|--hard|HEAD", None);
        check("rpm-ostree|rollback|--reboot", toggles);
        check("bootc|rollback", toggles);
        check("snap|revert|api", steps);
        check("snap|revert|api|--revision=3", None);
        check("nixos-rebuild|switch|--rollback", steps);
        check("curl|-X|POST|http://d/services/x/update?version=7&rollback=previous", toggles);
        check("curl|-X|POST|https://flags/api/admin/features/f/toggle", toggles);
        check("curl|-X|POST|https://flags/api/admin/features/f/off", None);
        check("flyway|undo", steps);
        check("flyway|undo|-target=3", None);
        check("php|artisan|migrate:rollback|--step=1", steps);
        check("mix|ecto.rollback|-n|1", steps);
        check("mix|ecto.rollback|--to|20261121", None);
        check("dbmate|down", steps);
    }
}
