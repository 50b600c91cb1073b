extension Topology {
  /// Reads and checks the file at `path`.
  ///
  /// - Parameters:
  ///   - path: also the name under which diagnostics speak of the file.
  ///   - onlineCores: the cores that the machine has; see ``OnlineCores``.
  ///   - overrides: as for ``parse(text:fileName:onlineCores:overrides:)``.
  public static func load(
    path: String, onlineCores: Set<Int>, overrides: [(keyPath: String, value: String)] = []
  ) -> Result<Topology, TopologyError> {
    fatalError()
  }

  /// Checks `text`.
  ///
  /// - Parameters:
  ///   - text: a whole `topology.toml`.
  ///   - fileName: the name under which diagnostics speak of the text.
  ///   - onlineCores: the cores that the machine has.
  ///   - overrides: settings that replace those of the text, in order, for instance
  ///     `("ring.merged.cells", "65536")`: tables of which there are several are named by their `name`.
  ///     Diagnostics about them speak of the file `--set`, with the override's number as line.
  /// - Throws: everything that is wrong, in one pass.
  public static func parse(
    text: String, fileName: String, onlineCores: Set<Int>,
    overrides: [(keyPath: String, value: String)] = []
  ) throws(TopologyError) -> Topology {
    fatalError()
  }
}
