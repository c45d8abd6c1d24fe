//! `docs/tools.md` is what the declarations say.

use std::path::Path;

#[test]
fn the_page_of_tools_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tools.md");
    crate::schemas::same_as_file(&path, &headwater_mcp::tools_markdown());
}
