/* The set-uid program of the nonewprivs image: which user a set-uid bit makes of its caller. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    printf("Effective uid: %d\n", (int)geteuid());
    return 0;
}
