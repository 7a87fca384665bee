//! corpus-prep
