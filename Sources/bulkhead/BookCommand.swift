func bookCommand(_ arguments: [String]) -> Int32 { 1 }
