func watchCommand(_ arguments: [String]) -> Int32 { 1 }
