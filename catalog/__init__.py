"""What every place sells: dated, sourced prices of instance types, and the names of accelerators."""
