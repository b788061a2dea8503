"""Who lives in the evening's house: its devices, and the addresses of the names they ask for."""

from __future__ import annotations

from guardian.lab.packets import Host

_WINDOWS = (0x1302, 0x1301, 0xC02C, 0xC02B, 0xC030)
_EMBEDDED = (0xC02F, 0xC030, 0x009C, 0x1301)

ROUTER = Host(name="router", mac="3c:a6:2f:1d:40:01", ip="192.168.1.1")
PIHOLE = Host(name="pihole", mac="dc:a6:32:5e:11:02", ip="192.168.1.2")
TV = Host(
    name="living-room-tv", mac="cc:2d:8c:90:3a:20", ip="192.168.1.20",
    params=(1, 3, 6, 12, 15, 28, 42), ciphers=_EMBEDDED,
)  # fmt: skip
ASSISTANT = Host(
    name="kitchen-echo", mac="68:54:fd:77:0c:21", ip="192.168.1.21",
    vendor_class="dhcpcd-6.8.2:Linux", ciphers=(0x1301, 0xC02B, 0xC02F),
)  # fmt: skip
CAMERA = Host(
    name="front-door-camera", mac="ec:71:db:42:6f:22", ip="192.168.1.22",
    vendor_class="udhcp 1.30.1", params=(1, 3, 6, 12, 15, 28, 42),
)  # fmt: skip
ANNAS = Host(
    name="annas-laptop", mac="a4:4c:c8:2b:71:30", ip="192.168.1.30", vendor_class="MSFT 5.0",
    params=(1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252), ciphers=_WINDOWS, ttl=128,
)  # fmt: skip
BENS = Host(
    name="bens-laptop", mac="3c:e9:f7:81:b2:31", ip="192.168.1.31",
    params=(1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42), ciphers=(0x1301, 0x1303, 0x1302),
)  # fmt: skip
TABLET = Host(
    name="mias-tablet", mac="8c:83:e1:05:aa:32", ip="192.168.1.32",
    vendor_class="android-dhcp-14", params=(1, 3, 6, 15, 26, 28, 51, 58, 59, 43, 114, 108),
)  # fmt: skip
PHONE = Host(
    name="Pixel-8", mac="da:4e:91:c3:58:33", ip="192.168.1.33",
    vendor_class="android-dhcp-15", params=(1, 3, 6, 15, 26, 28, 51, 58, 59, 43, 114, 108),
    ciphers=(0x1301, 0x1302, 0x1303, 0xC02B),
)  # fmt: skip
PRINTER = Host(
    name="office-printer", mac="30:05:5c:6e:19:40", ip="192.168.1.40",
    vendor_class="Brother", params=(1, 3, 6, 12, 15, 44, 47), ciphers=_EMBEDDED,
)  # fmt: skip
CONSOLE = Host(
    name="PS5-214", mac="bc:60:a7:33:5d:41", ip="192.168.1.41", vendor_class="PS5",
    params=(1, 3, 15, 6), ciphers=(0x1301, 0x1302),
)  # fmt: skip
HOSTS = (ROUTER, PIHOLE, TV, ASSISTANT, CAMERA, ANNAS, BENS, TABLET, PHONE, PRINTER, CONSOLE)

ATTACKER = "203.0.113.66"
"""Where the malware comes from and calls (RFC 5737)."""
C2_NAME = "sync.stat-relay.example"
TUNNEL = "t.stat-relay.example"

ADDRESSES = {
    "eu-acr4.alphonso.tv": "54.76.118.21",
    "alexa.na.gateway.devices.a2z.com": "52.94.233.40",
    C2_NAME: ATTACKER,
    "api.openai.com": "162.159.140.245",
    "dns.google": "8.8.8.8",
    "www.bbc.co.uk": "151.101.0.81",
    "ichef.bbci.co.uk": "151.101.192.81",
    "en.wikipedia.org": "185.15.59.224",
    "upload.wikimedia.org": "185.15.59.240",
    "github.com": "140.82.121.4",
    "avatars.githubusercontent.com": "185.199.108.133",
    "mirror.linux-home.example": "151.101.130.132",
    "imap.fastmail.com": "103.168.172.45",
    "www.kew.org": "104.18.26.90",
    "www.openstreetmap.org": "184.104.179.143",
    "tile.openstreetmap.org": "151.101.1.91",
    "kids.nationalgeographic.com": "18.155.129.30",
    "static01.nyt.com": "151.101.1.164",
    "ipv4-c012-lhr001-ix.1.oca.nflxvideo.net": "45.57.40.12",
    "download.windowsupdate.com": "199.232.214.172",
    "gs2.ww.prod.dl.playstation.net": "23.214.170.20",
    "auth.np.ac.playstation.net": "23.197.160.9",
    "0.pool.ntp.org": "178.62.250.107",
    "time.cloudflare.com": "162.159.200.1",
}
