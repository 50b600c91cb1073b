/* The ring's protocol, small enough to look at every state of it: publish, lap, crash, successor, take-over, park and wake.
 *
 * A ring of four cells with segments of one cell, records of one cell with two payload words, batches of one or two records.
 * One reader starts three records behind. Two producers: one that attaches to the ring, and
 *   -DCRASH      its successor, which attaches after the first was killed, anywhere;
 *   -DTAKEOVER   its successor, which takes over at any time, while the first goes on as if nothing had happened.
 * Without either, the first is alone.
 *
 * Memory: stores become visible in the order of the program, but a producer's first stamp and its published word wait in a
 * store buffer, with the input position behind them, as long as they like (x86). Orders weaker than that are explored by Tests/RingInterleavingTests.
 *
 * Asserted: no record is accepted torn, twice, out of its place or before it is published; no loss is declared that was none; a
 * successor stands exactly behind what was published or accepted; nothing of one who was replaced is accepted; no reader
 * sleeps while there is a record, or a new file, for it.
 *
 * -DD_… puts a defect in; scripts/check-models requires that each is found.
 */
#ifndef FIRST_END        /* how far the producers publish */
#define FIRST_END 5
#endif
#ifndef SECOND_END
#define SECOND_END 6
#endif
#define N 4
#define LAST 12          /* positions that the oracle knows */
#define RETIRED 255
#define LAP(p) ((p) / N + 1)
#define CELL(f, p) ((f) * N + (p) % N)
#ifdef D_LAP_BOUNDARY    /* the reader allows what is being overwritten now */
#define HOLDS(p, c) ((c) > (p) && (c) <= (p) + N + 2)
#else
#define HOLDS(p, c) ((c) > (p) && (c) <= (p) + N)
#endif

/* Two files: the ring, and the one that a take-over puts in its place. */
byte stamp[8], first[8], second[8];
byte published[2], claimed[2], input[2];
bool retired[2];         /* written by one who takes over, never by a producer */
byte path;               /* the file that the ring's path names */
byte sleeping;           /* the reader's announcement: ticket * 16 + published position seen */
byte asleepOn;           /* 0 awake, else 1 + the file on whose word it sleeps */
bool killed, dead;
/* Store buffers: what is stored, in which file, for which position. */
#define STAMP 0
#define PUBLISHED 1
#define INPUT 2
chan buffer0 = [3] of { byte, byte, byte };
chan buffer1 = [3] of { byte, byte, byte };

/* The oracle. A record is incarnation * 16 + position. */
byte owner[LAST];        /* the record of each position, once a reader or a successor has found it */
byte begun[4];           /* per incarnation: how far its batches began to be published */
byte certain;            /* published before anybody began to take over */
byte settled, current = 1, streamEnd = 3;
bool takeoverBegun;

inline makeVisible(what, f, p) {
  if
  :: what == STAMP -> stamp[CELL(f, p)] = LAP(p)
  :: what == PUBLISHED -> published[f] = p
  :: what == INPUT -> input[f] = p
  fi
}

/* What membarrier(2) does: all that the producers have stored is visible. */
inline membarrier(k, f, p) {
  atomic {
    do
    :: buffer0?k,f,p -> makeVisible(k, f, p)
    :: empty(buffer0) && nempty(buffer1) -> buffer1?k,f,p; makeVisible(k, f, p)
    :: empty(buffer0) && empty(buffer1) -> break
    od;
    k = 0; f = 0; p = 0
  }
}

proctype Drain() {
  byte k, f, p;
end:
  do
  :: atomic { buffer0?k,f,p -> makeVisible(k, f, p); k = 0; f = 0; p = 0 }
  :: atomic { buffer1?k,f,p -> makeVisible(k, f, p); k = 0; f = 0; p = 0 }
  od
}

#define drained (me == 0 && empty(buffer0) || me == 1 && empty(buffer1))

inline put(what, f, p) {
  if
  :: me == 0 -> buffer0!what,f,p
  :: me == 1 -> buffer1!what,f,p
  fi
}

inline futexWake(f) {
  atomic { drained -> if :: asleepOn == f + 1 -> asleepOn = 0 :: else fi }
}

/* Wakes the reader if it sleeps on another position than the present one; each sleep once. */
inline wakeSleepers() {
  seen = sleeping;
  if
  :: seen != 0 && seen % 16 != position && seen != woken -> woken = seen; futexWake(file)
  :: else
  fi
}

/* A successor stands at `position`; all that its file retains is as it was. */
inline judgeSuccessor() {
  d_step {
    assert(position >= certain);
    q = position;
    do
    :: q < LAST -> assert(owner[q] == 0); q++
    :: else -> break
    od;
    q = (myClaim > N -> myClaim - N : 0);
    do
    :: q < position ->
      assert(stamp[CELL(file, q)] == LAP(q));
      assert(first[CELL(file, q)] == second[CELL(file, q)] && first[CELL(file, q)] % 16 == q);
      assert(owner[q] == 0 || owner[q] == first[CELL(file, q)]);
      owner[q] = first[CELL(file, q)]; q++
    :: else -> break
    od;
    settled = position; current = me + 2; streamEnd = position; q = 0
  }
}

inline walk() {
  position = published[file];
#ifndef D_STOPS_AT_PUBLISHED
  do
  :: stamp[CELL(file, position)] == LAP(position) -> position++
  :: else -> break
  od
#endif
}

inline attach() {
  file = path;
  if
  :: file == 1 -> goto halted     /* a living producer has its number in there */
  :: else
  fi;
  seen = published[file];
  walk();
  q = claimed[file];
  myClaim = (q > position + 1 -> q : position + 1);
#ifdef D_FORGETS_CLAIM
  myClaim = position + 1;
#endif
  if
  :: retired[file] -> goto halted
  :: else
  fi;
  /* It may be replaced just here; then it finds out at its next claim. */
  claimed[file] = myClaim;
  q = 0;
  stamp[CELL(file, position)] = 0;
#ifdef D_PUBLISHED_AGAIN
  published[file] = position;
#else
  if
  :: seen != position -> published[file] = position
  :: else
  fi;
#endif
  if
  :: me == 1 -> judgeSuccessor()
  :: else
  fi;
#ifndef D_SUCCESSOR_WAKES_NOBODY
  wakeSleepers()
#endif
}

inline copyInput() { input[1] = input[0] }

inline takeOver() {
  takeoverBegun = true;
#ifndef D_LATE_RETIREMENT
  retired[0] = true;
#endif
#ifndef D_NO_RETIREMENT_BARRIER
  membarrier(bk, bf, bp);
#endif
#ifndef D_LATE_INPUT
  copyInput();
#endif
  file = 0;
  walk();
  myClaim = claimed[0];
  seen = myClaim;
  q = (myClaim > N -> myClaim - N : 0);
  do
  :: d_step {
      q < position ->
      stamp[CELL(1, q)] = stamp[CELL(0, q)];
      first[CELL(1, q)] = first[CELL(0, q)];
      second[CELL(1, q)] = second[CELL(0, q)];
      q++
    }
  :: q >= position -> break
  od;
  q = 0;
#ifdef D_LATE_INPUT
  copyInput();
#endif
#ifndef D_COPY_UNCHECKED
  /* The old producer may have stood in the midst of one more claim: what that covers was not copied whole. */
  myClaim = claimed[0];
#endif
  file = 1;
  d_step {
    myClaim = (myClaim < position + N - 1 -> myClaim : position + N - 1);
    myClaim = (myClaim > position + 1 -> myClaim : position + 1);
    published[1] = position;
    claimed[1] = myClaim
  };
  assert(input[1] <= position);
#ifdef D_LATE_RETIREMENT
  retired[0] = true;
#endif
  path = 1;
  judgeSuccessor();
  q = seen;
  wakeSleepers();
#ifndef D_NO_WORD_CHANGE
  published[0] = q;
#endif
  q = 0;
  futexWake(0)
}

inline claim() {
  if
  :: position + 2 > myClaim ->
#if defined(D_CLAIM_AFTER_WRITE)
    skip;
#else
    if
    :: claimed[file] == myClaim && !retired[file]
    :: else -> goto halted
    fi;
    /* It may be replaced between the look and the claim. */
    drained; claimed[file] = position + 2;
#endif
    myClaim = position + 2
  :: else
  fi
}

inline write() {
#ifdef D_STAMP_BEFORE_PAYLOAD
  if
  :: position != start -> stamp[CELL(file, position)] = LAP(position)
  :: else
  fi;
  first[CELL(file, position)] = (me + 2) * 16 + position;
#else
  first[CELL(file, position)] = (me + 2) * 16 + position;
  second[CELL(file, position)] = (me + 2) * 16 + position;
#endif
#ifdef D_FIRST_STAMP_EARLY
  stamp[CELL(file, position)] = LAP(position);
#else
  if
  :: position != start -> stamp[CELL(file, position)] = LAP(position)
  :: else
  fi;
#endif
  position++
}

inline publish() {
#ifdef D_CLAIM_AFTER_WRITE
  atomic { drained -> if :: retired[file] -> goto halted :: else -> claimed[file] = myClaim fi };
#endif
#ifndef D_NO_FRONTIER_CLEAR
  if
  :: stamp[CELL(file, position)] == LAP(position) -> stamp[CELL(file, position)] = 0
  :: else
  fi;
#endif
  d_step {
    begun[me + 2] = position;
    if :: me + 2 >= current -> streamEnd = position :: else fi
  };
#ifdef D_PUBLISHED_BEFORE_STAMP
  put(PUBLISHED, file, position);
  put(STAMP, file, start);
#else
  put(STAMP, file, start);
#ifdef D_STAMP_BEFORE_PAYLOAD
  second[CELL(file, start)] = (me + 2) * 16 + start;
  if
  :: position == start + 2 -> second[CELL(file, start + 1)] = (me + 2) * 16 + start + 1
  :: else
  fi;
#endif
  put(PUBLISHED, file, position);
#endif
  wakeSleepers();
  d_step {
    if :: !takeoverBegun -> certain = position :: else fi
  };
  put(INPUT, file, position)
}

inline produce(limit) {
  do
  :: position < limit ->
    start = position;
    claim();
    write();
    if
    :: position < limit -> claim(); write()
    :: true
    fi;
    publish()
  :: else -> break
#ifdef CRASH
  :: me == 1 -> break
#endif
  od
}

#define LOCALS byte file, position, start, myClaim, seen, woken, q; byte bk, bf, bp

proctype First() {
  byte me = 0;
  LOCALS;
#ifdef CRASH
  {
    attach();
    produce(FIRST_END);
halted:
    skip
  } unless { killed };
#else
  attach();
  produce(FIRST_END);
halted:
#endif
  dead = true
}

proctype Second() {
  byte me = 1;
  LOCALS;
#ifdef TAKEOVER
  takeOver();
#else
  dead && empty(buffer0);
  attach();
#endif
  produce(SECOND_END);
halted:
  skip
}

inline judgeRecord() {
  d_step {
    assert(a == b);                                    /* not torn */
    assert(a % 16 == position);                        /* in its place: neither missing nor repeated */
    assert(begun[a / 16] > position || a / 16 == 1);   /* published */
    assert(owner[position] == 0 || owner[position] == a);
    assert(a / 16 >= current || position < settled);   /* not of one who was replaced */
    owner[position] = a; a = 0; b = 0
  }
}

/* The claim, or RETIRED: two words, one after the other. */
inline lookAtClaim() {
  c = claimed[file];
#ifndef D_RETIREMENT_UNSEEN
  if
  :: retired[file] -> c = RETIRED
  :: else
  fi
#endif
}

proctype Reader() {
  byte file, position, ticket, word, c, a, b;
  byte bk, bf, bp;
look:
  if
  :: stamp[CELL(file, position)] == LAP(position) ->
    a = first[CELL(file, position)];
    b = second[CELL(file, position)];
#ifdef D_NO_REVALIDATION
    c = position + 1;
#else
    lookAtClaim();
#endif
    if
    :: HOLDS(position, c) -> judgeRecord(); position++; c = 0; goto look
    :: else -> a = 0; b = 0
    fi
  :: else ->
    lookAtClaim();
    if
    :: HOLDS(position, c) -> c = 0; goto park
    :: else
    fi
  fi;
  /* Not retained. */
  lookAtClaim();
  if
  :: c == RETIRED -> c = 0;
    if
    :: path != file -> file = path
    :: timeout -> assert(false)                        /* nobody finished the take-over */
    fi
  :: c != RETIRED && !HOLDS(position, c) ->
    /* Exact: what is declared lost was claimed, and the landing is a record's place, or where the next one will be. */
    d_step { assert(c > position + N && c <= claimed[file]); position = c - N; c = 0; assert(position <= streamEnd) }
  :: else -> c = 0
  fi;
  goto look;

park:
#ifdef D_ANNOUNCE_LATE
  word = published[file];
  if
  :: stamp[CELL(file, position)] == LAP(position) -> goto look
  :: else
  fi;
#endif
  word = published[file];
  ticket = ticket % 7 + 1;
  sleeping = ticket * 16 + word;
#ifndef D_NO_MEMBARRIER
  membarrier(bk, bf, bp);
#endif
#ifndef D_ANNOUNCE_LATE
  if
  :: stamp[CELL(file, position)] == LAP(position) -> sleeping = 0; word = 0; goto look
  :: else
  fi;
  lookAtClaim();
  if
  :: !HOLDS(position, c) -> sleeping = 0; word = 0; c = 0; goto look
  :: else -> c = 0
  fi;
#endif
  atomic { if :: published[file] == word -> asleepOn = file + 1 :: else fi };
  word = 0;
  if
  :: asleepOn == 0 -> sleeping = 0; goto look
  :: timeout -> assert(position == streamEnd)          /* the wake-up that was lost */
  fi
}

#if defined(CRASH)
proctype Killer() { killed = true }
#endif

init {
  atomic {
    /* Three records of an earlier incarnation, which the reader has not read. */
    stamp[0] = 1; stamp[1] = 1; stamp[2] = 1;
    first[0] = 16; first[1] = 17; first[2] = 18;
    second[0] = 16; second[1] = 17; second[2] = 18;
    published[0] = 3; claimed[0] = 4; input[0] = 3; certain = 3; settled = 3;
    run Drain();
    run First();
#if defined(CRASH) || defined(TAKEOVER)
    run Second();
#endif
#ifdef CRASH
    run Killer();
#endif
    run Reader()
  }
}
