#pragma once
// A library that is loaded into a process of a set before its own program (LD_PRELOAD), and makes it leak: drills have to find
// that (D-30, D-44). No part of what is installed.
//
//   BULKHEAD_LEAK=bookd:memory=40000        bytes a second, touched, never given back
//   BULKHEAD_LEAK=watchdogd:descriptors=2   a second
//
// The program is the file's name; other programs of the set go on unharmed.
