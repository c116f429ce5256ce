/* measure PROGRAM ARGUMENT...: runs it with its output thrown away. Prints milliseconds and the largest resident memory in KiB.
   A small program does this, since the memory of who forks counts until the exec. With MEASURE_FIFO set it runs before all
   others, where that is allowed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (getenv("MEASURE_FIFO") != NULL) {
    const struct sched_param first = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0) perror("measure: SCHED_FIFO");
  }
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  const pid_t pid = vfork();
  if (pid < 0) return 1;
  if (pid == 0) {
    const int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  struct rusage usage;
  int status = 0;
  if (wait4(pid, &status, 0, &usage) != pid) return 1;
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%.2f %ld\n", (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6, usage.ru_maxrss);
  return 0;
}
