//! Reads YAML into a tree with places, bounded in size and depth. Aliases share the node that they
//! name, so that they cannot multiply it. Nothing here knows what an alert is.
//!
//! Each character of a scalar is mapped back to its line and column in the file. YAML folds,
//! indents and escapes text, so value and file are walked side by side. A spot is always within
//! the file.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use super::report::shown;
use super::spot::Spot;

/// The largest file. The rules of a large Kubernetes set are a tenth of it.
pub const MAX_FILE: usize = 4 << 20;

/// How deep collections may nest. A rule's labels are at a depth of six.
const MAX_DEPTH: usize = 32;

/// The most nodes of a file; ten times what the largest file of rules holds.
const MAX_NODES: usize = 1_000_000;

/// Why a text is not a file of rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct YamlError {
    /// Where.
    pub spot: Spot,
    /// What is wrong.
    pub reason: String,
}

/// A value and where it starts.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) spot: Spot,
    /// The characters of the file, and the index of its first one.
    chars: Rc<[char]>,
    from: usize,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar(String, ScalarStyle),
    List(Vec<Rc<Node>>),
    /// Keys in the order of the file.
    Map(Vec<(String, Rc<Node>)>),
}

impl Node {
    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        if let Content::Scalar(text, _) = &self.content { Some(text) } else { None }
    }

    /// Keys and values, where it is a mapping.
    pub(super) fn map(&self) -> Option<&[(String, Rc<Self>)]> {
        if let Content::Map(entries) = &self.content { Some(entries) } else { None }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(
            &self.content,
            Content::Scalar(text, ScalarStyle::Plain)
                if matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
        )
    }

    /// The spot of each byte of a scalar, and of its end.
    pub(super) fn spots(&self) -> Vec<Spot> {
        let Content::Scalar(text, style) = &self.content else { return Vec::new() };
        let mut walk = Walk { chars: &self.chars, at: self.from, spot: self.spot, style: *style };
        walk.skip_start();
        let mut spots = Vec::with_capacity(text.len() + 1);
        for c in text.chars() {
            // White space is folded in many ways, and nothing is ever reported on it.
            if !c.is_whitespace() {
                walk.skip_space();
            }
            spots.extend(std::iter::repeat_n(walk.spot, c.len_utf8()));
            if !c.is_whitespace() {
                walk.skip_character();
            }
        }
        spots.push(walk.spot);
        spots
    }
}

/// Reads the documents of a text; `file` is its index.
pub(super) fn read(file: usize, text: &str) -> Result<Vec<Rc<Node>>, YamlError> {
    if text.len() > MAX_FILE {
        let reason = format!("larger than {} MiB, which no file of rules is", MAX_FILE >> 20);
        return Err(YamlError { spot: Spot { file, line: 1, column: 1 }, reason });
    }
    let (chars, parser) = (text.chars().collect(), Parser::new_from_str(text));
    let mut reader = Reader { file, chars, parser, anchors: HashMap::new(), nodes: 0 };
    std::iter::from_fn(|| reader.node(0).transpose()).collect()
}

struct Reader<'t> {
    file: usize,
    chars: Rc<[char]>,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
}

impl Reader<'_> {
    fn spot(&self, marker: &Marker) -> Spot {
        Spot { file: self.file, line: marker.line(), column: marker.col() + 1 }
    }

    /// The next value; none at the end of a collection or of the stream.
    fn node(&mut self, depth: usize) -> Result<Option<Rc<Node>>, YamlError> {
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|error| YamlError {
                spot: self.spot(error.marker()),
                reason: format!("not YAML: {}", error.info()),
            })?;
            let (spot, from, chars) =
                (self.spot(&span.start), span.start.index(), self.chars.clone());
            let (content, anchor) = match event {
                Event::Scalar(text, style, anchor, _) => {
                    (Content::Scalar(text.into_owned(), style), anchor)
                }
                Event::SequenceStart(anchor, _) => {
                    (Content::List(self.children(spot, depth)?), anchor)
                }
                Event::MappingStart(anchor, _) => (map(&self.children(spot, depth)?)?, anchor),
                Event::Alias(anchor) => {
                    let wrong = || YamlError { spot, reason: "an alias of nothing".to_owned() };
                    return self.anchors.get(&anchor).cloned().map(Some).ok_or_else(wrong);
                }
                Event::SequenceEnd | Event::MappingEnd => return Ok(None),
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::StreamEnd => continue,
            };
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                let reason = format!("more than {MAX_NODES} values, which no file of rules has");
                return Err(YamlError { spot, reason });
            }
            let node = Rc::new(Node { spot, chars, from, content });
            if anchor > 0 {
                self.anchors.insert(anchor, node.clone());
            }
            return Ok(Some(node));
        }
        Ok(None)
    }

    fn children(&mut self, spot: Spot, depth: usize) -> Result<Vec<Rc<Node>>, YamlError> {
        if depth >= MAX_DEPTH {
            return Err(YamlError { spot, reason: format!("nested deeper than {MAX_DEPTH}") });
        }
        std::iter::from_fn(|| self.node(depth + 1).transpose()).collect()
    }
}

/// A mapping of keys and values that come in turn.
fn map(children: &[Rc<Node>]) -> Result<Content, YamlError> {
    let mut entries: Vec<(String, Rc<Node>)> = Vec::new();
    let mut seen = HashSet::new();
    for pair in children.chunks_exact(2) {
        let wrong = |reason: String| YamlError { spot: pair[0].spot, reason };
        let name = pair[0].text().ok_or_else(|| wrong("a key is not a text".to_owned()))?;
        if name == "<<" {
            return Err(wrong("merge keys are not read; write the keys out".to_owned()));
        }
        if !seen.insert(name) {
            return Err(wrong(format!("the key `{}` is there twice", shown(name, 60))));
        }
        entries.push((name.to_owned(), pair[1].clone()));
    }
    Ok(Content::Map(entries))
}

/// A position within a scalar as it stands in the file.
struct Walk<'c> {
    chars: &'c [char],
    at: usize,
    spot: Spot,
    style: ScalarStyle,
}

impl Walk<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn step(&mut self) {
        match self.peek(0) {
            Some('\n') => (self.spot.line, self.spot.column) = (self.spot.line + 1, 1),
            Some(_) => self.spot.column += 1,
            None => return,
        }
        self.at += 1;
    }

    fn skip_while(&mut self, skipped: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&skipped) {
            self.step();
        }
    }

    /// Skips tags and anchors, with which no expression starts, and what opens the scalar.
    fn skip_start(&mut self) {
        while matches!(self.peek(0), Some('!' | '&')) {
            self.skip_while(|c| !c.is_whitespace());
            self.skip_while(char::is_whitespace);
        }
        match self.style {
            ScalarStyle::Plain => {}
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => self.step(),
            // The parser says where the header of a block is, or where its text is.
            ScalarStyle::Literal | ScalarStyle::Folded => {
                if matches!(self.peek(0), Some('|' | '>')) {
                    self.skip_while(|c| c != '\n');
                    self.step();
                }
            }
        }
    }

    /// Skips white space, however it is written.
    fn skip_space(&mut self) {
        let escapes = self.style == ScalarStyle::DoubleQuoted;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(c), _) if c.is_whitespace() => self.step(),
                (Some('\\'), Some('n' | 't' | 'r' | ' ' | '\n')) if escapes => {
                    self.step();
                    self.step();
                }
                _ => return,
            }
        }
    }

    /// Skips one character of the value, however it is written.
    fn skip_character(&mut self) {
        let written = match (self.style, self.peek(0), self.peek(1)) {
            (ScalarStyle::SingleQuoted, Some('\''), Some('\'')) => 2,
            (ScalarStyle::DoubleQuoted, Some('\\'), Some(code)) => match code {
                'x' => 4,
                'u' => 6,
                'U' => 10,
                _ => 2,
            },
            _ => 1,
        };
        (0..written).for_each(|_| self.step());
    }
}
