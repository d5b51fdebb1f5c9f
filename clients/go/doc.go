// Package probestream is a client of Probestream, a gRPC service that reads the weights of models and says what the
// models do.
//
// Connect gives a Client. Client.Embed reads a model (a file, a folder, a URL, bytes or arrays), asks the server which
// of its bytes are wanted, streams those alone and returns the model's representations; Client.EmbedMany does so for
// thousands. Client.Retrieve finds models of the server's catalogue, Client.Classify judges labels, and Client.List and
// its siblings keep the catalogue.
//
// Every call takes a context: when it ends, the call and what it had open end too. Errors are of the type *Error, whose
// Reason is for programs and whose Message says what was found, what is allowed and what to do. What goes wrong with one
// model of many, or one query of many, is a value in its result.
package probestream
