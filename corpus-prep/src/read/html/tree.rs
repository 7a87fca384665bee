//! How large a page is as a tree, told without going on once it is too large.
//!
//! A few bytes can open many elements again, and nesting makes every tag slower to place, so the page is parsed piece by
//! piece, and counted in between, before anything else looks at it.

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, LocalName, Namespace, ParseOpts, QualName, parse_document};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Bytes that are parsed between two counts.
const PIECE_BYTES: usize = 1024;

/// A tree's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Levels of elements.
    pub depth: usize,
    /// Elements and comments.
    pub nodes: usize,
}

/// The size of the page, or a size that is more than `max` in one of both, where it stopped.
pub fn size(html: &str, max: Size) -> Size {
    let mut parser = parse_document(Skeleton::default(), ParseOpts::default());
    let (mut rest, mut found) = (html, Size::default());
    while !rest.is_empty() && found.depth <= max.depth && found.nodes <= max.nodes {
        let piece;
        (piece, rest) = rest.split_at(rest.ceil_char_boundary(PIECE_BYTES.min(rest.len())));
        parser.process(StrTendril::from_slice(piece));
        found = parser.tokenizer.sink.sink.size(found.nodes, found.depth, max.depth);
    }
    if found.depth > max.depth || found.nodes > max.nodes {
        return found;
    }
    // Only now do all nodes have the places that they keep.
    parser.finish().size(0, 0, max.depth)
}

/// The tree without its texts: for each node its parent and children. Node 0 is the document.
#[derive(Default)]
struct Skeleton {
    links: RefCell<Vec<Links>>,
    document: Document,
}

#[derive(Default)]
struct Links {
    parent: Option<usize>,
    children: BTreeSet<usize>,
}

struct Document(Rc<Node>);

struct Node {
    at: usize,
    name: QualName,
}

impl Default for Document {
    fn default() -> Self {
        Self(Rc::new(Node { at: 0, name: no_name() }))
    }
}

fn no_name() -> QualName {
    QualName::new(None, Namespace::default(), LocalName::default())
}

impl Skeleton {
    /// The size with all nodes from the `counted`th on, where those before are `depth` deep.
    fn size(&self, counted: usize, depth: usize, max_depth: usize) -> Size {
        let links = self.links.borrow();
        let deep = |at: usize| {
            let parents = std::iter::successors(Some(at), |at| links[*at].parent);
            // Once it is too deep, it does not matter how much.
            parents.take(max_depth + 2).count() - 1
        };
        let found = (counted.max(1)..links.len()).map(deep).max().unwrap_or(0);
        Size { depth: found.max(depth), nodes: links.len() }
    }

    fn create(&self, name: QualName) -> Rc<Node> {
        let mut links = self.links.borrow_mut();
        if links.is_empty() {
            links.push(Links::default());
        }
        links.push(Links::default());
        Rc::new(Node { at: links.len() - 1, name })
    }

    fn attach(&self, parent: usize, child: usize) {
        self.detach(child);
        let mut links = self.links.borrow_mut();
        links[parent].children.insert(child);
        links[child].parent = Some(parent);
    }

    fn detach(&self, child: usize) {
        let mut links = self.links.borrow_mut();
        if let Some(parent) = links[child].parent.take() {
            links[parent].children.remove(&child);
        }
    }

    fn parent(&self, at: usize) -> Option<usize> {
        self.links.borrow().get(at)?.parent
    }
}

impl TreeSink for Skeleton {
    type Handle = Rc<Node>;
    type Output = Self;
    type ElemName<'a> = &'a QualName;

    fn finish(self) -> Self {
        self
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Rc<Node> {
        self.document.0.clone()
    }

    fn elem_name<'a>(&'a self, target: &'a Rc<Node>) -> &'a QualName {
        &target.name
    }

    fn create_element(&self, name: QualName, _: Vec<Attribute>, _: ElementFlags) -> Rc<Node> {
        self.create(name)
    }

    fn create_comment(&self, _: StrTendril) -> Rc<Node> {
        self.create(no_name())
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Rc<Node> {
        self.create(no_name())
    }

    fn append(&self, parent: &Rc<Node>, child: NodeOrText<Rc<Node>>) {
        if let NodeOrText::AppendNode(child) = child {
            self.attach(parent.at, child.at);
        }
    }

    fn append_based_on_parent_node(
        &self,
        element: &Rc<Node>,
        prev_element: &Rc<Node>,
        child: NodeOrText<Rc<Node>>,
    ) {
        match self.parent(element.at) {
            Some(_) => self.append_before_sibling(element, child),
            None => self.append(prev_element, child),
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    /// What stands in a template counts as its children.
    fn get_template_contents(&self, target: &Rc<Node>) -> Rc<Node> {
        target.clone()
    }

    fn same_node(&self, x: &Rc<Node>, y: &Rc<Node>) -> bool {
        x.at == y.at
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Rc<Node>, new_node: NodeOrText<Rc<Node>>) {
        if let (NodeOrText::AppendNode(child), Some(parent)) = (new_node, self.parent(sibling.at)) {
            self.attach(parent, child.at);
        }
    }

    fn add_attrs_if_missing(&self, _: &Rc<Node>, _: Vec<Attribute>) {}

    fn remove_from_parent(&self, target: &Rc<Node>) {
        self.detach(target.at);
    }

    fn reparent_children(&self, node: &Rc<Node>, new_parent: &Rc<Node>) {
        let children = std::mem::take(&mut self.links.borrow_mut()[node.at].children);
        let mut links = self.links.borrow_mut();
        for child in &children {
            links[*child].parent = Some(new_parent.at);
        }
        links[new_parent.at].children.extend(children);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Size = Size { depth: 20, nodes: 1000 };

    #[track_caller]
    fn check(html: &str, depth: usize, nodes: usize) {
        assert_eq!(size(html, MAX), Size { depth, nodes }, "{html}");
    }

    #[test]
    fn size_is_that_of_the_tree() {
        // With the document, `html`, `head` and `body`.
        check("", 2, 4);
        check("<div><b>x</b><br><i>y</i></div><p>a<p>b", 4, 10);
        check("<script>'<div><div>'</script><!-- <div> -->", 3, 6);
        check(&"<p>x".repeat(100), 3, 104);
        check("<svg><path/><path/><path/></svg>", 4, 8);
    }

    #[test]
    fn parsing_stops_where_a_page_is_too_large() {
        let found = |html: String| size(&html, MAX);
        assert!(found("<div>".repeat(1_000_000)).depth > MAX.depth);
        assert!(found("<div>".repeat(1_000_000)).nodes < 2000);
        assert!(found("<p>x".repeat(1_000_000)).nodes > MAX.nodes);
        // Elements of formatting are opened again in every paragraph.
        let formats: String = (0..15).map(|at| format!("<b id={at}>")).collect();
        let found = found(format!("{formats}{}", "<p>x</p>".repeat(100_000)));
        assert!(found.nodes > MAX.nodes && found.nodes < 20_000, "{found:?}");
    }
}
