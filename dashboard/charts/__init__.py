"""Panes in, Plotly figures out: plain dictionaries, computed from exact integer sums.

All charts cover the whole range that was asked for, also where there is no data, so that the
automatic time axis is exactly that range. An explicit axis range would undo the viewer's zoom
with each new point.

Times are numbers (epoch ms), which Plotly shows in the zone of the browser; date strings it would
take as they are.
"""
