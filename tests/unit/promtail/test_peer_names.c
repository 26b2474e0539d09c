/* Names of who sends datagrams. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/buf.h"
#include "promtail/targets/peer_names.h"
#include "runtime/loop.h"

struct seen {
    struct loop *loop;
    struct buf text;
    size_t n, wanted;
};

static void deliver(void *arg, const char *ip, const char *host, str bytes)
{
    struct seen *s = arg;
    buf_printf(&s->text, "%s %s %.*s|", ip, host, STR_ARG(bytes));
    if (++s->n == s->wanted)
        loop_stop(s->loop);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static struct sockaddr_in address(const char *ip)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}

static void seen_init(struct seen *s, size_t wanted)
{
    *s = (struct seen){.loop = loop_new(), .wanted = wanted};
    buf_init(&s->text, 4096);
}

static void seen_deinit(struct seen *s)
{
    loop_free(s->loop);
    buf_deinit(&s->text);
}

Test(promtail_peer_names, datagrams_wait_for_the_name_in_their_order)
{
    struct seen s;
    seen_init(&s, 2);
    struct peer_names *names = peer_names_new(s.loop, deliver, &s);
    struct sockaddr_in local = address("127.0.0.1");
    peer_names_take(names, (struct sockaddr *)&local, "127.0.0.1", STR("one"));
    peer_names_take(names, (struct sockaddr *)&local, "127.0.0.1", STR("two"));
    cr_assert_eq(s.n, 0);
    loop_run(s.loop);
    cr_assert_str_eq(buf_c(&s.text), "127.0.0.1 localhost one|127.0.0.1 localhost two|");
    buf_reset(&s.text);
    peer_names_take(names, (struct sockaddr *)&local, "127.0.0.1", STR("three"));
    cr_assert_str_eq(buf_c(&s.text), "127.0.0.1 localhost three|", "known by now");
    peer_names_free(names);
    seen_deinit(&s);
}

Test(promtail_peer_names, what_waits_at_the_stop_is_handed_on_without_a_name)
{
    struct seen s;
    seen_init(&s, 0);
    struct peer_names *names = peer_names_new(s.loop, deliver, &s);
    struct sockaddr_in local = address("127.0.0.1");
    peer_names_take(names, (struct sockaddr *)&local, "127.0.0.1", STR("one"));
    peer_names_free(names);
    cr_assert_str_eq(buf_c(&s.text), "127.0.0.1  one|");
    struct loop_timer *end = loop_timer_new(s.loop, stop, s.loop);
    loop_timer_start(end, 50, 0); /* the question is called off meanwhile */
    loop_run(s.loop);
    loop_timer_free(end);
    seen_deinit(&s);
}

Test(promtail_peer_names, a_name_of_several_parts_ends_with_a_dot)
{
    char name[64];
    peer_name_print("localhost", name, sizeof name);
    cr_assert_str_eq(name, "localhost");
    peer_name_print("a.example.com", name, sizeof name);
    cr_assert_str_eq(name, "a.example.com.");
    peer_name_print("a.example.com.", name, sizeof name);
    cr_assert_str_eq(name, "a.example.com.");
}
