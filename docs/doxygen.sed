# Shows Doxygen our headers in its own terms. A header's first line is about the file; what stands beside a field is about the field,
# and a field with nothing beside it is in a group that has a text, so that only types, functions and macros must be documented.
1s| \*/$| @file */|
/^struct [a-z_]* {$/,/^};/{
	s|@|@@|g
	s#^\(struct\|	union\) .*#& /** @name Fields */ /** @{ */ /** Says its name. */#
	s|^	\{0,1\}}.*;|/** @} */ &|
	s|\([;,]  *\)/\* |\1/**< |
}
