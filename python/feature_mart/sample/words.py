"""Define the vocabulary of the sample: kinds of work and their prices, skills, topics and phrases."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """A leaf category: a kind of work.

    Attributes:
        slug, name, english: the last part of the category's id, and its Japanese and English names.
        yen: the usual price of the fourth quantity, in yen.
        unit, english_unit: the text of a quantity; ``{q}`` is replaced by the number.
        quantities: eight usual quantities, ascending.
        trend: the change of the log price in a year, in addition to 0.03 a year in every category.
        has_parts: True if one job may order several parts, such as articles.
    """

    slug: str
    name: str
    english: str
    yen: int
    unit: str
    english_unit: str
    quantities: tuple[int, int, int, int, int, int, int, int]
    trend: float = 0.03
    has_parts: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A parent category: its four leaves, and eight skills with their effect on the log price."""

    slug: str
    name: str
    works: tuple[Work, Work, Work, Work]
    skills: tuple[tuple[str, float], ...]


LETTERS = (1000, 1500, 2000, 3000, 4000, 5000, 8000, 10000)
FEW = (1, 1, 2, 3, 3, 5, 8, 10)
PIECES = (1, 2, 3, 5, 8, 10, 20, 30)
PAGES = (1, 3, 4, 5, 6, 8, 10, 15)
HOURS = (5, 10, 15, 20, 30, 40, 60, 80)
MANY = (100, 200, 300, 500, 800, 1000, 3000, 5000)
#: The quantities of an hourly job, in hours a month. These quantities replace the quantities of the category.
MONTHLY_HOURS = (10, 20, 30, 40, 60, 80, 120, 160)
#: The possible numbers of parts of a job in a category with `has_parts`.
PARTS = (1, 1, 1, 2, 3, 5, 10, 20)

# fmt: off
FIELDS = (
    Field(
        "writing",
        "ライティング",
        (
            Work("article", "記事作成", "Article writing", 4500, "{q}文字", "{q} characters", LETTERS, -0.1, True),
            Work("copy", "コピーライティング", "Copywriting", 22000, "{q}案", "{q} drafts", FEW, 0.0),
            Work("proofreading", "校正・リライト", "Proofreading", 6000, "{q}文字", "{q} characters", LETTERS, -0.05),
            Work("translation", "翻訳", "Translation", 14000, "{q}文字", "{q} characters", LETTERS, -0.12),
        ),
        (
            ("SEO", 0.1), ("取材", 0.25), ("英語", 0.2), ("薬機法", 0.3),
            ("WordPress", 0.0), ("校正", 0.05), ("金融", 0.35), ("中国語", 0.25),
        ),
    ),
    Field(
        "web",
        "ホームページ制作",
        (
            Work("lp", "LPデザイン", "Landing page", 90000, "LP{q}枚", "{q} landing pages", FEW, 0.02),
            Work("site", "ホームページ制作", "Website", 180000, "{q}ページ", "{q} pages", PAGES, 0.03),
            Work("coding", "コーディング", "HTML coding", 55000, "{q}ページ", "{q} pages", PAGES, 0.0),
            Work("shop", "ECサイト構築", "Online shop", 260000, "{q}商品", "{q} products", PIECES, 0.06),
        ),
        (
            ("HTML", -0.05), ("CSS", -0.05), ("JavaScript", 0.12), ("WordPress", 0.05),
            ("Shopify", 0.2), ("Figma", 0.1), ("PHP", 0.15), ("React", 0.3),
        ),
    ),
    Field(
        "development",
        "システム開発",
        (
            Work("webapp", "Webアプリ開発", "Web application", 420000, "{q}画面", "{q} screens", PIECES, 0.08),
            Work("mobile", "スマホアプリ開発", "Mobile app", 520000, "{q}画面", "{q} screens", PIECES, 0.07),
            Work("scraping", "スクレイピング", "Web scraping", 45000, "{q}サイト", "{q} sites", FEW, 0.0),
            Work("macro", "Excelマクロ作成", "Excel macros", 30000, "{q}シート", "{q} sheets", FEW, 0.02),
        ),
        (
            ("Python", 0.15), ("TypeScript", 0.2), ("AWS", 0.35), ("SQL", 0.05),
            ("Swift", 0.25), ("VBA", -0.15), ("PHP", 0.0), ("機械学習", 0.45),
        ),
    ),
    Field(
        "design",
        "デザイン",
        (
            Work("logo", "ロゴ作成", "Logo design", 38000, "{q}案", "{q} drafts", FEW, 0.0),
            Work("banner", "バナー作成", "Banner design", 12000, "{q}枚", "{q} banners", PIECES, -0.03),
            Work("flyer", "チラシデザイン", "Flyer design", 24000, "{q}枚", "{q} flyers", FEW, 0.0),
            Work("illustration", "イラスト作成", "Illustration", 26000, "{q}点", "{q} drawings", PIECES, 0.02),
        ),
        (
            ("Photoshop", 0.05), ("Illustrator", 0.08), ("Figma", 0.1), ("Canva", -0.3),
            ("似顔絵", 0.0), ("印刷", 0.12), ("ブランディング", 0.4), ("Live2D", 0.45),
        ),
    ),
    Field(
        "video",
        "動画・音声",
        (
            Work("editing", "動画編集", "Video editing", 24000, "{q}本", "{q} videos", PIECES, -0.04),
            Work("animation", "アニメーション制作", "Animation", 80000, "{q}秒", "{q} seconds", MONTHLY_HOURS, 0.04),
            Work("thumbnail", "サムネイル作成", "Thumbnails", 8000, "{q}枚", "{q} thumbnails", PIECES, -0.02),
            Work("narration", "ナレーション", "Narration", 16000, "{q}分", "{q} minutes", PIECES, 0.0),
        ),
        (
            ("Premiere Pro", 0.1), ("After Effects", 0.3), ("YouTube", -0.05), ("TikTok", -0.1),
            ("撮影", 0.35), ("字幕", 0.0), ("Blender", 0.4), ("宅録", 0.05),
        ),
    ),
    Field(
        "data",
        "データ・AI",
        (
            Work("entry", "データ入力", "Data entry", 11000, "{q}件", "{q} records", MANY, -0.02),
            Work("collection", "リスト作成", "List building", 13000, "{q}件", "{q} records", MANY, -0.02),
            Work("analysis", "データ分析", "Data analysis", 120000, "{q}時間", "{q} hours", HOURS, 0.08),
            Work("annotation", "アノテーション", "Annotation", 18000, "{q}枚", "{q} images", MANY, 0.05),
        ),
        (
            ("Excel", -0.1), ("スプレッドシート", -0.1), ("Python", 0.25), ("SQL", 0.2),
            ("統計", 0.35), ("Tableau", 0.3), ("英語", 0.1), ("生成AI", 0.25),
        ),
    ),
    Field(
        "marketing",
        "マーケティング",
        (
            Work("sns", "SNS運用", "Social media", 45000, "{q}投稿", "{q} posts", PIECES, 0.03),
            Work("ads", "広告運用", "Ad operations", 90000, "{q}ヶ月", "{q} months", FEW, 0.03),
            Work("seo", "SEO対策", "SEO", 70000, "{q}キーワード", "{q} keywords", PIECES, 0.0),
            Work("survey", "アンケート調査", "Survey", 9000, "{q}問", "{q} questions", PIECES, 0.0),
        ),
        (
            ("Instagram", 0.0), ("Google広告", 0.2), ("LINE", 0.05), ("GA4", 0.15),
            ("SEO", 0.1), ("X", -0.05), ("YouTube", 0.05), ("戦略設計", 0.45),
        ),
    ),
    Field(
        "office",
        "事務・サポート",
        (
            Work("secretary", "オンライン秘書", "Online assistant", 34000, "{q}時間", "{q} hours", HOURS, 0.03),
            Work("support", "カスタマーサポート", "Customer support", 36000, "{q}時間", "{q} hours", HOURS, 0.03),
            Work("transcript", "文字起こし", "Transcription", 9000, "{q}分", "{q} minutes", MONTHLY_HOURS, -0.1),
            Work("slides", "資料作成", "Slides", 32000, "{q}ページ", "{q} pages", PIECES, 0.02),
        ),
        (
            ("Excel", 0.0), ("PowerPoint", 0.1), ("英語", 0.2), ("経理", 0.2),
            ("freee", 0.15), ("Slack", 0.0), ("電話対応", 0.05), ("議事録", 0.05),
        ),
    ),
)

TOPICS = (
    ("不動産", "real estate"), ("美容", "beauty"), ("転職", "job change"),
    ("旅行", "travel"), ("投資", "investment"), ("健康食品", "health food"),
    ("ペット", "pets"), ("結婚式", "weddings"), ("飲食店", "restaurants"),
    ("脱毛サロン", "beauty salons"), ("学習塾", "cram schools"), ("歯科医院", "dental clinics"),
    ("アパレル", "fashion"), ("ゲーム", "games"), ("工務店", "builders"),
    ("保険", "insurance"), ("介護", "nursing care"), ("法律事務所", "law firms"),
    ("SaaS", "SaaS"), ("自治体", "local government"), ("ふるさと納税", "hometown tax"),
    ("キャンプ", "camping"), ("コスメ", "cosmetics"), ("暗号資産", "crypto assets"),
)
# fmt: on

#: The prefixes of titles, each with its effect on the log price. Half are empty.
PREFIXES = (
    *((("", 0.0),) * 8),
    ("【急募】", 0.08),
    ("【継続あり】", 0.03),
    ("【初心者歓迎】", -0.35),
    ("≪高単価≫", 0.25),
    ("【専門家監修】", 0.40),
    ("【簡単作業】", -0.30),
    ("至急！", 0.08),
    ("【長期】", 0.05),
)
SUFFIXES = (
    "",
    "",
    "のお願い",
    "の依頼",
    "（経験者優遇）",
    "してくださる方募集",
    "をお任せします",
    "の件",
)
EMOJI = ("✨", "🔰", "🎨", "📝", "🏠", "🎉", "⭐", "🙏")
#: Words and their form in half-width katakana, as old web forms send them.
HALF_WIDTH = (
    ("デザイン", "ﾃﾞｻﾞｲﾝ"),
    ("データ", "ﾃﾞｰﾀ"),
    ("サイト", "ｻｲﾄ"),
    ("ページ", "ﾍﾟｰｼﾞ"),
    ("チラシ", "ﾁﾗｼ"),
)

OPENINGS = (
    "ご覧いただきありがとうございます。",
    "はじめまして。",
    "お世話になっております。",
    "新規事業の立ち上げにともない募集します。",
    "弊社の担当者が不足しているため、お手伝いいただける方を探しています。",
    "ご経験のある方からのご応募をお待ちしております。",
)
DETAILS = (
    "マニュアルをご用意しています。",
    "進め方はチャットでご相談します。",
    "参考サイトは採用後にお送りします。",
    "修正は2回までお願いします。",
    "構成案はこちらで作成します。",
    "素材はすべて支給いたします。",
    "週1回のオンライン会議に参加できる方を希望します。",
    "過去の実績をお見せください。",
)
CLOSINGS = (
    "よろしくお願いいたします。",
    "ご応募お待ちしております！",
    "継続してお願いする可能性があります。",
    "不明な点はお気軽にご質問ください。",
)
PREFECTURES = (
    *(
        "東京都",
        "東京都",
        "東京都",
        "大阪府",
        "大阪府",
        "愛知県",
        "福岡県",
        "北海道",
        "神奈川県",
        "神奈川県",
    ),
    *(
        "京都府",
        "沖縄県",
        "埼玉県",
        "千葉県",
        "兵庫県",
        "広島県",
        "宮城県",
        "静岡県",
        "秋田県",
        "長野県",
    ),
)
CLIENT_KINDS = ("corporate", "corporate", "corporate", "individual", "individual", "public")
FREELANCER_KINDS = ("individual", "individual", "individual", "sole proprietor", "corporate")
