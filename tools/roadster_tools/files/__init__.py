"""The files of documents and templates: looked into, without trusting them, before a call sends them."""
