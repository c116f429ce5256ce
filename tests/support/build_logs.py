"""The ends of twelve builds that failed, as their tools print them, and the line that names the cause."""

R, G, B, N = '\x1b[31m', '\x1b[32m', '\x1b[1m', '\x1b[0m'

LOGS = {
    'cargo': (f'''{G}   Compiling{N} demo v0.1.0 (/src/demo)
{B}{R}error[E0308]{N}{B}: mismatched types{N}
 --> src/main.rs:2:18
  |
2 |     let x: i32 = "one";
  |            ---   ^^^^^ expected `i32`, found `&str`

For more information about this error, try `rustc --explain E0308`.
{B}{R}error{N}{B}: could not compile `demo` (bin "demo") due to 1 previous error{N}
''', 'error[E0308]: mismatched types'),
    'tsc': ('''> demo@1.0.0 build
> tsc -p .

src/index.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.
npm error Lifecycle script `build` failed with error:
npm error code 2
npm error path /src/demo
''', "src/index.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'."),
    'pytest': ('''tests/test_sum.py F                                                      [100%]

=================================== FAILURES ===================================
___________________________________ test_sum ___________________________________

    def test_sum():
>       assert add(1, 2) == 4
E       assert 3 == 4
E        +  where 3 = add(1, 2)

tests/test_sum.py:5: AssertionError
=========================== short test summary info ============================
FAILED tests/test_sum.py::test_sum - assert 3 == 4
============================== 1 failed in 0.03s ===============================
''', 'FAILED tests/test_sum.py::test_sum - assert 3 == 4'),
    'gcc': (f'''{B}main.c:{N} In function '{B}main{N}':
{B}main.c:3:14:{N} {R}error: {N}expected '{B};{N}' before '{B}return{N}'
    3 |     int x = 1
      |              {R}^{N}
''', "main.c:3:14: error: expected ';' before 'return'"),
    'ninja': ('''\r[1/3] Building CXX object a.o\x1b[K\r[2/3] Building CXX object b.o\x1b[K
FAILED: b.o
/usr/bin/c++ -o b.o -c ../b.cpp
../b.cpp:7:3: error: 'foo' was not declared in this scope
    7 |   foo();
      |   ^~~
ninja: build stopped: subcommand failed.
''', "../b.cpp:7:3: error: 'foo' was not declared in this scope"),
    'gradle': ('''> Task :compileJava FAILED
/src/demo/Main.java:5: error: cannot find symbol
        Foo x = null;
        ^
  symbol:   class Foo
1 error

FAILURE: Build failed with an exception.

* What went wrong:
Execution failed for task ':compileJava'.
> Compilation failed; see the compiler error output for details.

BUILD FAILED in 2s
1 actionable task: 1 executed
''', '/src/demo/Main.java:5: error: cannot find symbol'),
    'go': ('''=== RUN   TestAdd
    add_test.go:8: Add(1, 2) = 4, want 3
--- FAIL: TestAdd (0.00s)
FAIL
FAIL	example.com/demo	0.002s
ok  	example.com/demo/other	0.001s
FAIL
''', '--- FAIL: TestAdd (0.00s)'),
    'jest': (f'''{R}FAIL{N} src/sum.test.js
  {R}✕{N} adds 1 + 2 to equal 3 (3 ms)

  ● adds 1 + 2 to equal 3

    expect(received).toBe(expected) // Object.is equality

    Expected: 3
    Received: 4

      at Object.<anonymous> (src/sum.test.js:4:21)

Test Suites: 1 failed, 1 total
Tests:       1 failed, 1 total
''', 'adds 1 + 2 to equal 3'),
    'cmake': ('''-- The CXX compiler identification is GNU 12.2.0
CMake Error at CMakeLists.txt:5 (find_package):
  Could not find a package configuration file provided by "Foo" with any of
  the following names:

    FooConfig.cmake
    foo-config.cmake

-- Configuring incomplete, errors occurred!
''', 'CMake Error at CMakeLists.txt:5 (find_package):'),
    'pip': ('''Collecting no-such-package==9.9
  Downloading index \r   10%\r   55%\r  100%
ERROR: Could not find a version that satisfies the requirement no-such-package==9.9 (from versions: none)
''', 'ERROR: Could not find a version that satisfies the requirement no-such-package==9.9 (from versions: none)'),
    'docker': ('''#7 [3/4] RUN make
#7 0.312 cc -o app main.c
#7 0.398 main.c:1:10: fatal error: zlib.h: No such file or directory
#7 0.401 make: *** [Makefile:2: app] Error 1
#7 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
------
 > [3/4] RUN make:
------
Dockerfile:3
ERROR: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2
''', '#7 0.398 main.c:1:10: fatal error: zlib.h: No such file or directory'),
    'make': ('''cc -Wall -c util.c
util.c:9:5: error: too few arguments to function 'open'
make[1]: *** [Makefile:12: util.o] Error 1
make: *** [Makefile:4: all] Error 2
''', "util.c:9:5: error: too few arguments to function 'open'"),
}
