"""The vocabulary of the sample: kinds of work with the unit they are counted in, skills, phrases."""

from __future__ import annotations

#: Parent category, its leaves: what is made, and the unit in which its quantity is written.
WORK: dict[str, list[tuple[str, str]]] = {
    "ライティング": [
        ("記事作成", "{q}記事"),
        ("コピーライティング", "{q}案"),
        ("シナリオ作成", "{q}話"),
        ("校正・リライト", "{k}文字"),
    ],
    "デザイン": [
        ("ロゴ制作", "{q}案"),
        ("バナー制作", "{q}枚"),
        ("LPデザイン", "LP{q}枚"),
        ("イラスト制作", "{q}点"),
    ],
    "ウェブ制作": [
        ("サイト制作", "{q}ページ"),
        ("コーディング", "{q}ページ"),
        ("WordPress構築", "{q}サイト"),
        ("ECサイト運用", "{q}商品"),
    ],
    "開発": [
        ("アプリ開発", "{q}画面"),
        ("API開発", "{q}本"),
        ("データ分析", "{q}件"),
        ("スクレイピング", "{q}サイト"),
    ],
    "動画": [
        ("動画編集", "{q}本"),
        ("サムネイル制作", "{q}枚"),
        ("モーション制作", "{q}秒"),
        ("字幕作成", "{q}分"),
    ],
    "事務": [
        ("データ入力", "{k}件"),
        ("文字起こし", "{q}時間"),
        ("リサーチ", "{q}社"),
        ("翻訳", "{k}文字"),
    ],
    "マーケティング": [
        ("SNS運用", "{q}投稿"),
        ("広告運用", "{q}媒体"),
        ("SEO対策", "{q}記事"),
        ("アンケート調査", "{q}問"),
    ],
    "相談": [
        ("経理代行", "{q}時間"),
        ("採用支援", "{q}名"),
        ("講師", "{q}回"),
        ("占い原稿", "{q}本"),
    ],
}

ENGLISH = [
    "Article writing",
    "Logo design",
    "Landing page",
    "Data entry",
    "Video editing",
    "Translation",
]

SKILLS = [
    *("python", "sql", "javascript", "typescript", "react", "php", "ruby", "go", "java", "swift"),
    *("wordpress", "shopify", "html", "css", "figma", "photoshop", "illustrator", "premiere"),
    *("after effects", "excel", "word", "seo", "ライティング", "校正", "翻訳", "英語", "中国語"),
    *("動画編集", "写真撮影", "データ分析", "機械学習", "経理", "営業", "広告", "SNS", "取材"),
    *("企画", "文字起こし", "イラスト", "ロゴ"),
]

PREFIXES = ["【急募】", "【継続あり】", "【初心者歓迎】", "≪高単価≫", "至急！", "★"]
SUFFIXES = ["をお願いします", "の依頼", "(経験者優遇)", "してくださる方募集", "の件"]
EMOJI = ["🙏", "✨", "📝", "🎨"]
PREFECTURES = ["東京都", "大阪府", "愛知県", "福岡県", "北海道", "神奈川県", "京都府", "沖縄県"]
