//! Rewrites files so that one build holds all their mutants: `hpo-mutants LIST FILE...` changes the files in place (of a copy!)
//! and writes to LIST one line a mutant: its number, file, line and what it is. `HPO_MUTANT=17` then makes the program be
//! mutant 17; without it the program is itself.
//!
//! A build of everything for each mutant takes minutes; with all in one, a mutant costs only the run that is to catch it.
use std::fmt::Write;
use std::process::ExitCode;
use std::{env, fs};

use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Block, Expr, ImplItemFn, Item, ItemFn, Pat, ReturnType, Stmt, Type, UnOp, parse_quote};

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let Some(list) = words.next() else {
        eprintln!("hpo-mutants LIST FILE...");
        return ExitCode::from(2);
    };
    let skipped: Vec<usize> = env::var("HPO_MUTANTS_SKIP").unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect();
    let mut mutator = Mutator { file: String::new(), next: 0, list: String::new(), skipped, function: String::new() };
    for path in words {
        let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"));
        let mut file = syn::parse_file(&text).unwrap_or_else(|why| panic!("{path}: {why}"));
        mutator.file.clone_from(&path);
        mutator.visit_file_mut(&mut file);
        fs::write(&path, prettyplease::unparse(&file)).unwrap_or_else(|why| panic!("{path}: {why}"));
    }
    fs::write(&list, mutator.list).unwrap_or_else(|why| panic!("{list}: {why}"));
    println!("{} mutants", mutator.next);
    ExitCode::SUCCESS
}

/// Functions that say how things stand, to people, those that only assert, and the one that refuses sweep files, of which no world is
/// made. No decision depends on them.
const PEOPLE: [&str; 17] = [
    "standing", "standing_at", "rivals", "judgement", "barriers", "cutoff_among", "others", "judged", "weighted", "worst_arrivals",
    "worst_arrivals_from", "hours", "check", "fmt", "trained", "hyperband", "categories",
];

struct Mutator {
    file: String,
    next: usize,
    list: String,
    /// Numbers that are no programs: they do not compile.
    skipped: Vec<usize>,
    function: String,
}

impl Mutator {
    /// The switch of a new mutant; none if that is no program.
    fn switch(&mut self, line: usize, what: &str) -> Option<Expr> {
        if PEOPLE.contains(&self.function.as_str()) {
            return None;
        }
        let id = self.next;
        self.next += 1;
        if self.skipped.contains(&id) {
            return None;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(self.list, "{id}\t{}:{line}\t{}\t{what}", self.file, self.function);
        let id = id as u32;
        Some(parse_quote!(crate::mutant::on(#id)))
    }

    fn function(&mut self, name: String, output: &ReturnType, block: &mut Block, line: usize) {
        let outer = std::mem::replace(&mut self.function, name);
        visit_mut::visit_block_mut(self, block);
        let mut early: Vec<Stmt> = vec![];
        // What is for people decides nothing.
        // Nor does a body without words, or one that says that it is never come to.
        let never = |stmt: &Stmt| match stmt {
            Stmt::Macro(stmt) => stmt.mac.path.is_ident("unreachable"),
            Stmt::Expr(Expr::Macro(expr), _) => expr.mac.path.is_ident("unreachable"),
            _ => false,
        };
        let empty = block.stmts.iter().all(never);
        let unjudged = empty || PEOPLE.contains(&self.function.as_str());
        let body = block.stmts.first().filter(|_| block.stmts.len() == 1).map(short);
        for (what, value) in answers(output).into_iter().filter(|(what, _)| !unjudged && body.as_ref() != Some(what)) {
            if let Some(on) = self.switch(line, &format!("the whole function is `{what}`")) {
                early.push(parse_quote!(if #on { return #value; }));
            }
        }
        early.append(&mut block.stmts);
        block.stmts = early;
        self.function = outer;
    }

    fn binary(&mut self, whole: &mut Expr) {
        let Expr::Binary(binary) = &*whole else { return };
        let line = binary.op.span().start().line;
        let mut all = quote!(#binary);
        for op in others(&binary.op) {
            let what = format!("`{}` for `{}` in `{}`", op.to_token_stream(), binary.op.to_token_stream(), short(binary));
            let Some(on) = self.switch(line, &what) else { continue };
            let (left, right) = (&binary.left, &binary.right);
            all = if assigns(&op) { quote!({ if #on { #left #op #right } else { #all } }) } else { quote!((if #on { #left #op #right } else { #all })) };
        }
        *whole = syn::parse2(all).expect("what was put together is Rust");
    }

    fn unary(&mut self, whole: &mut Expr) {
        let Expr::Unary(unary) = &*whole else { return };
        if !matches!(unary.op, UnOp::Not(_) | UnOp::Neg(_)) || matches!(*unary.expr, Expr::Lit(_)) {
            return;
        }
        let what = format!("without its sign: `{}`", short(unary));
        let Some(on) = self.switch(unary.op.span().start().line, &what) else { return };
        let inner = &unary.expr;
        *whole = parse_quote!((if #on { #inner } else { #unary }));
    }
}

impl VisitMut for Mutator {
    fn visit_item_mut(&mut self, item: &mut Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Const(_) | Item::Static(_) => return,
            _ => return visit_mut::visit_item_mut(self, item),
        };
        if !attributes.iter().any(|attribute| attribute.to_token_stream().to_string().contains("test")) {
            visit_mut::visit_item_mut(self, item);
        }
    }

    fn visit_item_fn_mut(&mut self, item: &mut ItemFn) {
        if item.sig.constness.is_none() {
            let line = item.sig.span().start().line;
            self.function(item.sig.ident.to_string(), &item.sig.output.clone(), &mut item.block, line);
        }
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut ImplItemFn) {
        if item.sig.constness.is_none() {
            let line = item.sig.span().start().line;
            self.function(item.sig.ident.to_string(), &item.sig.output.clone(), &mut item.block, line);
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if matches!(expr, Expr::Macro(_)) {
            return;
        }
        // `let` in a condition is no value.
        if let Expr::Binary(binary) = expr
            && has_let(&binary.left) | has_let(&binary.right)
        {
            return visit_mut::visit_expr_mut(self, expr);
        }
        visit_mut::visit_expr_mut(self, expr);
        self.binary(expr);
        self.unary(expr);
    }

    fn visit_expr_match_mut(&mut self, whole: &mut syn::ExprMatch) {
        visit_mut::visit_expr_match_mut(self, whole);
        let falls_through = whole.arms.last().is_some_and(|arm| matches!(arm.pat, Pat::Wild(_)) && arm.guard.is_none());
        let count = whole.arms.len();
        for arm in whole.arms.iter_mut().take(count.saturating_sub(1)) {
            let line = arm.pat.span().start().line;
            let what = format!("without the arm `{}`", short(&arm.pat));
            if falls_through && let Some(on) = self.switch(line, &what) {
                arm.guard = Some(match arm.guard.take() {
                    None => (Default::default(), parse_quote!(!#on)),
                    Some((word, guard)) => (word, parse_quote!(!#on && (#guard))),
                });
            }
        }
    }

    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        visit_mut::visit_stmt_mut(self, stmt);
        let Stmt::Expr(expr, Some(_)) = &*stmt else { return };
        let deed = matches!(expr, Expr::Call(_) | Expr::MethodCall(_) | Expr::Assign(_));
        if !deed {
            return;
        }
        let line = expr.span().start().line;
        let what = format!("without `{}`", short(expr));
        if let Some(on) = self.switch(line, &what) {
            *stmt = parse_quote!(if !#on { #expr; });
        }
    }
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

fn assigns(op: &BinOp) -> bool {
    matches!(op, BinOp::AddAssign(_) | BinOp::SubAssign(_) | BinOp::MulAssign(_))
}

/// What could have been meant in the place of an operator.
fn others(op: &BinOp) -> Vec<BinOp> {
    match op {
        BinOp::Eq(_) => vec![parse_quote!(!=)],
        BinOp::Ne(_) => vec![parse_quote!(==)],
        BinOp::Lt(_) => vec![parse_quote!(<=), parse_quote!(>)],
        BinOp::Le(_) => vec![parse_quote!(<), parse_quote!(>)],
        BinOp::Gt(_) => vec![parse_quote!(>=), parse_quote!(<)],
        BinOp::Ge(_) => vec![parse_quote!(>), parse_quote!(<)],
        BinOp::And(_) => vec![parse_quote!(||)],
        BinOp::Or(_) => vec![parse_quote!(&&)],
        BinOp::Add(_) => vec![parse_quote!(-), parse_quote!(*)],
        BinOp::Sub(_) => vec![parse_quote!(+)],
        BinOp::Mul(_) => vec![parse_quote!(+)],
        BinOp::Div(_) => vec![parse_quote!(*)],
        BinOp::Rem(_) => vec![parse_quote!(/)],
        BinOp::AddAssign(_) => vec![parse_quote!(-=)],
        BinOp::SubAssign(_) => vec![parse_quote!(+=)],
        BinOp::BitOrAssign(_) => vec![parse_quote!(&=)],
        _ => vec![],
    }
}

/// What a function could answer without having looked.
fn answers(output: &ReturnType) -> Vec<(String, Expr)> {
    let ReturnType::Type(_, kind) = output else { return vec![("()".to_owned(), parse_quote!(()))] };
    let Type::Path(path) = &**kind else { return vec![] };
    let Some(last) = path.path.segments.last() else { return vec![] };
    let values: Vec<Expr> = match last.ident.to_string().as_str() {
        "bool" => vec![parse_quote!(true), parse_quote!(false)],
        "u32" | "u64" | "usize" | "i64" => vec![parse_quote!(0), parse_quote!(1)],
        "f64" => vec![parse_quote!(0.0), parse_quote!(1.0)],
        "Option" => vec![parse_quote!(None)],
        "Vec" => vec![parse_quote!(vec![])],
        "Result" if last.arguments.to_token_stream().to_string().starts_with("< ()") => vec![parse_quote!(Ok(()))],
        "Verdict" => vec![parse_quote!(Verdict::Pause), parse_quote!(Verdict::Stop), parse_quote!(Verdict::Continue)],
        _ => vec![],
    };
    values.into_iter().map(|value| (value.to_token_stream().to_string(), value)).collect()
}

/// The first words of some Rust, without switches.
fn short(tokens: &impl ToTokens) -> String {
    let text: String = tokens.to_token_stream().to_string();
    text.chars().take(90).collect()
}
