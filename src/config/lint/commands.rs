//! Commands that people roll back with, and which of them do something else when they are run a
//! second time, or not what they seem to do. It must never call risky what names where to go.

use std::path::Path;

/// A part of a pattern.
type PatternText = &'static str;

/// A command that is known to be risky, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RiskyCommand {
    /// A program and words that come one after another, whatever else stands between them.
    /// Alternatives are separated by `|`.
    words: &'static str,
    /// Its name in messages.
    pub(crate) what: &'static str,
    pub(crate) risk: Risk,
    pub(crate) instead: &'static str,
    /// Whether it is risky with all of its arguments, and with those after the words.
    is_risky: fn(&[&str], &[&str]) -> bool,
}

/// A command that is risky whatever its arguments are, and what to do instead.
pub(crate) const fn pattern(words: PatternText, risk: Risk, instead: PatternText) -> RiskyCommand {
    RiskyCommand { words, what: words, risk, instead, is_risky: |_, _| true }
}

impl RiskyCommand {
    /// The same, where another name says more than its words.
    const fn called(self, what: &'static str) -> Self {
        Self { what, ..self }
    }

    /// The same, where it is only risky with some arguments.
    const fn when(self, is_risky: fn(&[&str], &[&str]) -> bool) -> Self {
        Self { is_risky, ..self }
    }
}

/// What is wrong with a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Risk {
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

const UNDO: &str = "kubectl rollout undo";
const PIN_UNDO: &str = "add `--to-revision` or set the image";
const BY_DIGEST: &str = "name the image by its digest";
const BY_COMMIT: &str = "name the good commit";
const UPDATE_IMAGE: &str = "use `docker service update --image`";
const FORWARD: &str = "migrate forward to the good schema";
const NEW_LINK: &str = "make a link of another name, then `mv -T` it over the old one";
const ONE_ATTEMPT: &str = "give it one attempt, and let the cure tell after an interruption";
const BY_NAME: &str = "deploy the good version or image by its name";

/// The first that matches is meant.
const PATTERNS: &[RiskyCommand] = {
    use Risk::{HasAGap, Newest, Repeats, Steps, Toggles};
    &[
        pattern("kubectl|oc rollout|rollouts undo", Toggles, PIN_UNDO).called(UNDO).when(unpinned),
        pattern("kubectl-argo-rollouts undo", Toggles, PIN_UNDO).called(UNDO).when(unpinned),
        pattern("kubectl|oc|kubectl-argo-rollouts set image", Newest, BY_DIGEST)
            .called(":latest")
            .when(names_latest),
        pattern("helm rollback", Toggles, "name the revision after the release")
            .when(|_, after| operand(after, 1).is_none_or(|revision| revision == "0")),
        pattern("argocd app rollback", Toggles, "name the id after the application")
            .when(|_, after| operand(after, 1).is_none()),
        pattern("docker|podman service rollback", Toggles, UPDATE_IMAGE)
            .called("docker service rollback"),
        pattern("docker|podman service update --rollback", Toggles, UPDATE_IMAGE)
            .called("docker service rollback"),
        pattern("docker|podman", Newest, BY_DIGEST).called(":latest").when(names_latest),
        pattern("nomad revert", Toggles, "name the version after the job")
            .called("nomad job revert")
            .when(|_, after| operand(after, 1).is_none_or(|version| version.starts_with('-'))),
        pattern("cap deploy:rollback", Toggles, "deploy the good revision by its name"),
        pattern("aws deploy create-deployment", Repeats, ONE_ATTEMPT),
        pattern("aws ecs update-service", Newest, "write `--task-definition FAMILY:REVISION`")
            .called("--task-definition")
            .when(|all, _| {
                let family = value(all, "--task-definition");
                family.is_some_and(|family| !family.contains(':') && family != "{}")
            }),
        pattern("gcloud deploy targets rollback", Toggles, "name the release with `--release`")
            .when(|all, _| value(all, "--release").is_none()),
        pattern("gcloud deploy targets rollback", Repeats, "give it one attempt"),
        pattern("gcloud update-traffic --to-latest", Newest, "write `--to-revisions=REVISION=100`")
            .called("--to-latest"),
        pattern(
            "heroku rollback|releases:rollback",
            Toggles,
            "name the release, as in `heroku rollback v40`",
        )
        .called("heroku rollback")
        .when(|_, after| operands(after).is_empty()),
        pattern("git revert", Toggles, BY_COMMIT).called("git revert HEAD").when(|_, after| {
            after.iter().any(|word| word.starts_with("HEAD") || word.starts_with('@'))
        }),
        pattern("git checkout|switch|reset", Toggles, BY_COMMIT)
            .called("git checkout -")
            .when(|_, after| after.contains(&"-")),
        pattern("git checkout|switch|reset", Toggles, BY_COMMIT)
            .called("git reset ORIG_HEAD")
            .when(|_, after| after.iter().any(|w| w.contains("@{") || *w == "ORIG_HEAD")),
        pattern("git checkout|switch|reset", Steps, BY_COMMIT)
            .called("git reset HEAD~1")
            .when(|_, after| after.iter().any(|word| is_before_head(word))),
        pattern("rpm-ostree|bootc rollback", Toggles, BY_NAME).called("rpm-ostree rollback"),
        pattern("snap revert", Steps, "add `--revision`")
            .when(|_, after| value(after, "--revision").is_none()),
        pattern("nixos-rebuild|nix-env --rollback", Steps, "use `--switch-generation NUMBER`")
            .called("nix-env --rollback"),
        pattern("ln", HasAGap, NEW_LINK)
            .called("ln -sf")
            .when(|all, _| has_flag(all, 's', "--symbolic") && has_flag(all, 'f', "--force")),
        pattern("alembic downgrade", Steps, "name the revision to go back to")
            .called("alembic downgrade -1")
            .when(|_, after| {
                let target = after.iter().find(|word| !word.starts_with("--"));
                target.is_some_and(|target| target.starts_with('-'))
            }),
        pattern("goose down", Steps, "use `goose down-to VERSION`"),
        pattern("migrate down", Steps, "use `migrate goto VERSION`"),
        pattern("dbmate down|rollback", Steps, FORWARD).called("dbmate down"),
        pattern("rake|rails db:rollback", Steps, "use `rails db:migrate VERSION=…`")
            .called("rails db:rollback"),
        pattern(
            "sequelize|sequelize-cli db:migrate:undo",
            Steps,
            "use `db:migrate:undo:all --to NAME`",
        )
        .called("sequelize db:migrate:undo"),
        pattern("flyway undo", Steps, "add `-target=VERSION`")
            .when(|all, _| value(all, "-target").is_none()),
        pattern("artisan|knex migrate:rollback|migrate:down", Steps, FORWARD)
            .called("migrate:rollback"),
        pattern("mix ecto.rollback", Steps, "add `--to VERSION`")
            .when(|all, _| value(all, "--to").or(value(all, "--to-exclusive")).is_none()),
    ]
};

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
pub(crate) fn risky(command: &[&str]) -> Option<RiskyCommand> {
    command.iter().enumerate().find_map(|(at, word)| {
        let (name, all) = (program(word)?, &command[at + 1..]);
        if name == "curl" {
            return all.iter().find_map(|word| risky_url(word.trim_matches(['"', '\''])));
        }
        let is_of = |pattern: &RiskyCommand| {
            let (programs, words) = pattern.words.split_once(' ').unwrap_or((pattern.words, ""));
            let after = behind(all, words).filter(|_| is_one_of(name, programs));
            after.is_some_and(|after| (pattern.is_risky)(all, after))
        };
        PATTERNS.iter().copied().find(is_of)
    })
}

/// A URL that turns something over.
pub(crate) fn risky_url(url: &str) -> Option<RiskyCommand> {
    let toggles = |what, instead| Some(pattern(what, Risk::Toggles, instead));
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    if query.split('&').any(|pair| pair == "rollback=previous") {
        return toggles("rollback=previous", "update the service with the good image");
    }
    if path.contains("://") && path.ends_with("/toggle") {
        return toggles("/toggle", "ask for `on` or `off`");
    }
    None
}

fn is_one_of(word: &str, alternatives: &str) -> bool {
    alternatives.split('|').any(|alternative| alternative == word)
}

/// What stands behind the last of the words, if they come one after another.
fn behind<'r, 'w>(all: &'r [&'w str], words: &str) -> Option<&'r [&'w str]> {
    words.split_whitespace().try_fold(all, |rest, wanted| {
        rest.iter().position(|word| is_one_of(word, wanted)).map(|at| &rest[at + 1..])
    })
}

/// Whether no revision is named to go back to.
fn unpinned(all: &[&str], _: &[&str]) -> bool {
    value(all, "--to-revision").is_none_or(|revision| revision == "0")
}

/// Whether an image's name says "whatever is newest".
fn names_latest(all: &[&str], _: &[&str]) -> bool {
    all.iter().any(|word| word.ends_with(":latest"))
}

/// Whether it names a commit by its distance from the current one.
fn is_before_head(word: &str) -> bool {
    let from_head = word.strip_prefix("HEAD").or_else(|| word.strip_prefix('@'));
    from_head.is_some_and(|rest| rest.starts_with(['~', '^']))
}

fn has_flag(all: &[&str], short: char, long: &str) -> bool {
    let is_short = |word: &str| word.starts_with('-') && !word.starts_with("--");
    all.iter().any(|word| (is_short(word) && word.contains(short)) || *word == long)
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

/// The operand of this index.
fn operand<'w>(words: &[&'w str], index: usize) -> Option<&'w str> {
    operands(words).get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_must_not_run_twice_are_told_from_those_that_name_where_to_go() {
        let check = |line: &str, risk: Option<Risk>| {
            let argv: Vec<String> = line.split('|').map(str::to_owned).collect();
            let found = commands(&argv).iter().find_map(|command| risky(command));
            assert_eq!(found.map(|found| found.risk), risk, "{line}");
        };
        let (toggles, steps, gap) = (Some(Risk::Toggles), Some(Risk::Steps), Some(Risk::HasAGap));
        let (repeats, newest) = (Some(Risk::Repeats), Some(Risk::Newest));
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
