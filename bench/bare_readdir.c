/* bare_readdir FOLDER: reads every file of a folder, the least that listing can cost. Prints the time in ms. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include <dirent.h>
#include <stdio.h>
#include <time.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  DIR* dir = opendir(argv[1]);
  if (dir == NULL) return 1;
  static char buffer[1 << 20];
  long files = 0, bytes = 0;
  struct dirent* entry;
  while ((entry = readdir(dir)) != NULL) {
    if (entry->d_type != DT_REG) continue;
    int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n > 0) bytes += n;
    close(fd);
    ++files;
  }
  closedir(dir);
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%.2f %ld %ld\n", (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6, files, bytes);
  return 0;
}
