#!/usr/bin/env python3
"""Writes spacy.json: small texts with the words and the sentences that datatrove finds in them for English.

usage: spacy_cases.py > spacy.json
Needs datatrove and tldextract; made with datatrove 0.10.0, spacy 3.8.18, Python 3.11."""
import itertools
import json
import random

import spacy  # Before datatrove, which looks for what this imports.
from datatrove.utils.word_tokenizers import load_word_tokenizer

SENTENCES = """
I'm sure you're right, and they'll've known it; we'd've said so. He's late. She's not. It's its own.
Don't, can't, won't, shan't, couldn't've, mightn’t, ain't, Isn't, CAN'T, dont cant wont cannot gonna gotta.
Let's go, y'all! C'mon, ma'am, it's five o'clock. 'Twas 'em, 'cause 'bout 'nuff. How'd'y, not've, whatll, whereve.
Mr. Smith, Mrs. Jones and Dr. Who met Prof. X. at St. John's Ave. in Mt. Airy, N.Y., on Jan. 5, e.g. at 5p.m. or 11am.
i.e. that, vs. this, etc. and so on. Inc. Corp. Ltd. Co. co. a.m. p.m. Ph.D. D.C. U.S. U.S.A. U.K.'s B.A. x.y.
I live in the U.S. He lives in N.Y. They do not. No. 5 is alive. It cost 3.50. Then 4. And A. And AB. and aB.
:) :-) :( ;) :D XD xD <3 </3 :'( O_O (:) well:) no:( yes:-) hm:/ ok:D a:) b8) =) (^_^) ಠ_ಠ ¯\\(ツ)/¯ (╯°□°）╯︵┻━┻ \\") ><(((*>
: ) : ( ; ) a: ) b . c . a . "a." a.: (a.) vitamin-a. plan-b. c). d], e.g., (e.g. this). he 's it ' s
See http://example.com/a?b=c#d, www.example.org, example.com. https://user:pw@example.co.uk:8080/x_(y) ftp://a.b.cd/e;f
mailto:someone@example.com someone@example.org, <someone@example.org> (www.example.com). example.com/path/to.html! 8.8.8.8 10.0.0.1
lower.Upper Upper.lower lower.lower end.Begin "quoted".Next a.b.c foo.bar.Baz readme.txt file.tar.gz 1.2.3.4 192.168.0.1:80 1.1.1.1:8080/x
5km 5km/h 20m² 3.5kg 100% 50% 5mph 10GB 10 GB 5T 5tb 12oz 3ft 6in 20°C. 70°F. 5°X. °K. 5$ $5 5€ €5 5US$ US$5 C$5 A$5 £3.50 ¥100 ₹5 5₹ 5₽
well-known state-of-the-art 1990-1995 pre-1990 co-operate a--b a---b a----b a—b a––b a——b 5-a a-5 5--a x~y 5~a ~5 -a a- -- --- —
1+1 1+a a+1 +1 +a a+ 1+ 2*3 2^3 2-3 2*-3 a*b a^b 2/3 a/b and/or w/o he/she 2:3 a:b 1:b a=b 5=b a<b a>b 5>b x<=y key=value
one,two 1,000 a,1 1,a a,b,c a,,b ,a a, a;b a;c (a)(b) [a][b] {a}{b} a(b)c f(x) x[0] <b>bold</b> &amp; #tag @user a_b __init__ *bold* _x_
wait... what..no ..yes a....b ...and… so…on ……dots……. end.... .. . ... "..." '...' 5... a.. A.. ). .) .( (.
"Quoted," he said. 'Single' ‘curly’ “double” «guillemets» „low“ ‚low‘ `tick` ``tex'' "'nested'" 'it''s' don't' 'don't' '' ' "
dogs' the dog's DOG'S dog’s DOG’S 's 'S ’s ‘s the 1990's '90s 5's x's's it's'
C++ C# F# .NET Node.js AT&T R&D rock'n'roll 24/7 9/11 1st 2nd 3:30 3:30pm 12a.m. 13am $1.5m 5'10" 6" 1/2 ½ 2½ x² m² no.5 No.5
Hello world.How are you?Fine!Good.And you? Really?!Yes!! What?? (Yes.) "No." 'Maybe.' He left. (She stayed.) "They too." end
Café naïve façade über Ærø ŁÓDŹ. ÄÖ. ß. ä. ö. ü. Ä. Привет, мир. Москва-река КМ. 5км 5кг. Ёж.Ёж Γειά σου. Ω. ελ.Ελ
人人生而自由。在尊严和权利上一律平等！你好？（是）「引用」『二』【三】《书》、；：～ 5人 人5 人,人 人.人 人-人 abc人. 日本語、テスト。한국어 문장입니다.
हर मनुष्य स्वतंत्र है। सब। العربية، نص؟ عربي؛ 5كم 5م. עברית. ไทย ภาษา ქართული. አማርኛ። বাংলা। தமிழ். ಕನ್ನಡ. తెలుగు.
😀 hi😀there 😀😀 👩‍💻 👍🏽 ☺☹ a☺ ☺a ★star★ ©2020 ®brand ™ 100™ a→b ← ↑ ↔ • bullet · dot a·b ° 5° №5 ♥ ❤️ ✓ ▲ ■ █ ⠿
e\u0301te\u0301 a\u0301. A\u0301B. x\u0300-y\u0301 zero\u200bwidth soft\u00adhyphen join\u200der \ufeffbom a\u2060b \u200e ltr
a\u00a0b \u00a0c d\u00a0 e\u3000f g\u2003h i\u2028j k\u2029l m\u0085n o\u1680p q\u202fr s\u205ft u\u180ev
§1 %5 =5 —a –b …c a§ a% a= 5% 5‰ a† a‡ ¶ ¿Qué? ¡Hola! a¿b a¡b a|b ||| \\ \\\\ \\n \\t / // /// ~ ~~ ^ ^^ @ @@ $ $$ % %% = == + ++ - -- _ __ # ##
!!!!!! ?????? ?!?!?! ...... ------ ====== ****** ______ ###### ~~~~~~ (((((( )))))) """""" '''''' ,,,,,, ;;;;;; :::::: <<<< >>>> [[]] {{}} ……………
<space> <a> </a> <br/> <!-- c --> <a href="http://example.com">x</a> [link](http://example.com) ![i](a.png) {"k": "v", "n": 1.5}
IS_ASCII IS_ALPHABET IS_ALPHAs xIS_ALPHA NOT_IS_ALPHA_X IS_DIGIT LIKE_NUM ORTH _ISALPHA
x://y ab://c.de a://b.cd +.-://example.com éa://example.com 人人://example.com @example.com a@b a@b.cd a@@b.cd a:b@c.de/f a@b.cd:1 a@b.cd:12 a@b.cd:123456
-a.com a-.com a_b.com _a.com a._b.com é.com a.é a.éé a.人人 人.人人 a.COM a.Com a.comX a.c0m example.com, example.com) example.com- com. .com
1.2.3.4/ 1.2.3.4? 01.2.3.4 223.1.1.1 224.1.1.1 1.2.3.255 1.2.3.254 1.256.1.1 1.255.0.1 1.2.3 1.2.3.4.5 172.15.1.1 172.16.1.1 172.31.1.1 172.32.1.1 169.254.1.1 1٢.3.4.5 127.0.0.1 100.1.1.1
"""
EDGES = ["", " ", "  ", "\n", " \n ", "a", " a", "a ", "  a  ", "a  b", "a \n b", "a\n b", "a\n\n\nb", "\ta\tb\t", "a\r\nb", "a\x0bb\x0cc",
    "a\x1cb\x1dc\x1ed\x1fe", "\x00\x01a\x02b\x7f", "a.\n", "a.\n\n", "a.  b.  ", "a. b", "a.b", "\n\na.\n\nb.", "a.\u3000b.\u00a0c", ".", "..", "...",
    ". . .", "! a", "a !b", "a ! ? b", "a. ) b", "a. \" b", "a. ... b", "a ... b", "a.. b", "a?) b!] c", "A.B.C. d", "(a. b. c.)", "a.'s", "He is a. b. c.",
    "x" * 70 + ".com", "a." + "b" * 63, "a." + "b" * 64, "a" * 64 + ".com", "a" * 65 + ".com", "x" * 2000, "!" * 2000, "a." * 500, "(" * 50 + "a" + ")" * 50,
    "IS_ALPHA,", "a IS_ALPHA b. IS_ALPHA", "x-IS_ALPHA foIS_ALPHAo", "(IS_ALPHA) a:IS_ALPHA)", "fooIS_ALPHAbar"]
PIECES = ["a", "b", "I", "it", "he", "that", "don't", "Mr", "word", "Word", "AB", "é", "É", "人", "5", "12", "km", "m²", "$", "€", "US$", "%", "'s", "’s", "'", "’", "‘",
    '"', "“", "”", "`", "(", ")", "[", "]", "<", ">", ":", ";", ",", ".", "..", "...", "…", "!", "?", "-", "--", "–", "—", "~", "/", "\\", "=", "+", "*", "^", "_",
    "#", "&", "@", "|", "°", "C", "☺", "😀", "\u0301", "\u200d", "。", "、", "।", "://", "www.", ".com", "http", "D", "P", "o", "8", "3", " ", " ", "  ", "\n", "\u00a0"]


def texts():
    lines = SENTENCES.strip().split("\n")
    yield from EDGES
    yield from lines
    yield from sorted(set(itertools.chain.from_iterable(line.split() for line in lines)))
    rng = random.Random("spacy")
    for _ in range(1500):
        yield "".join(rng.choices(PIECES, k=rng.randrange(2, 9)))


tokenizer = load_word_tokenizer("en")
# The first text of a process that has this token is cut, and breaks the tokenizer for all later ones.
tokenizer.word_tokenize("IS_ALPHA")
tokenizer.word_tokenize("It breaks by now.")
rows = [[text, tokenizer.word_tokenize(text), tokenizer.sent_tokenize(text)] for text in texts()]
print("[\n" + ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows) + "\n]")
