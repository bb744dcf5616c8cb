"""The stream: settings, message contract, source and sinks, pane arithmetic and the dataflow."""
