"""promtail as its page /service-discovery shows it."""
import html
import re

import lib


class PagePromtail(lib.Promtail):
    """`wrap` goes before its command."""
    wrap = ()

    def command(self):
        return list(self.wrap) + super().command()

    def page(self):
        """{job: [discovered labels of each target]} of /service-discovery."""
        try:
            text = lib.http("GET", self.url + "/service-discovery")[1].decode()
        except OSError:
            return {}
        jobs = {}
        for part in text.split("<h2>")[1:]:
            rows = re.findall(r"<tr class=(?:yes|no)><td>\w+<td>(.*?)<td>", part, re.S)
            jobs[part.split("</h2>")[0]] = [
                {html.unescape(name): html.unescape(value) for name, value in
                 re.findall(r"<span class=label>([^<]*?)=&#34;(.*?)&#34;</span>", row, re.S)}
                for row in rows]
        return jobs
