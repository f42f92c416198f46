"""What the bundled sample shows: one row a picture, and the names of the concepts it uses."""

# ruff: noqa: RUF001 -- captions use the signs that real captions use
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from phantoms import angiograms, radiographs, slices, ultrasound
from phantoms.canvas import FloatArray, Plane


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """One picture of the sample.

    Attributes:
        image_id: `sample_<split>_<number>`; the numbers have gaps, as in ROCOv2.
        size: Width and height in pixels.
        draw: Shape (height, width) or (height, width, 3), from 0 to 1.
        caption: Written for this picture.
        manual: Names of modality, X-ray body region and X-ray direction; empty where modalities are
            combined.
        automatic: Names of the concepts of the caption, in the order of their first mention.
        bend: How far outlines stray from the perfect figure.
    """

    image_id: str
    size: tuple[int, int]
    draw: Callable[[Plane], FloatArray]
    caption: str
    manual: tuple[str, ...] = ()
    automatic: tuple[str, ...] = ()
    bend: float = 0.014

    @property
    def split(self) -> str:
        """Name of the split: train, valid or test."""
        return self.image_id.split("_")[1]

    @property
    def concepts(self) -> tuple[str, ...]:
        """CUIs, the manual ones first, none twice."""
        return tuple(CUIS[name] for name in dict.fromkeys((*self.manual, *self.automatic)))

    @property
    def manual_concepts(self) -> tuple[str, ...]:
        """CUIs of modality, region and direction."""
        return tuple(CUIS[name] for name in self.manual)


# Canonical name -> CUI. The first three groups are the curated concepts of ROCOv2.
CUIS = {
    "X-Ray Computed Tomography": "C0040405",
    "Plain x-ray": "C1306645",
    "Magnetic Resonance Imaging": "C0024485",
    "Ultrasonography": "C0041618",
    "angiogram": "C0002978",
    "Positron-Emission Tomography": "C0032743",
    "Chest": "C0817096",
    "Lower Extremity": "C0023216",
    "Bone structure of cranium": "C0037303",
    "Abdomen": "C0000726",
    "Upper Extremity": "C1140618",
    "Vertebral column": "C0037949",
    "Pelvis": "C0030797",
    "Breast": "C0006141",
    "Anterior-Posterior": "C1999039",
    "Postero-Anterior": "C1996865",
    "Sagittal": "C0205129",
    "Transverse - anatomical location": "C0205106",
    "Abdominal aortic aneurysm": "C0162871",
    "Aorta": "C0003483",
    "Ascites": "C0003962",
    "Brain": "C0006104",
    "Breast cyst": "C0006144",
    "Carpal bone": "C0007285",
    "Cerebral infarction": "C0007785",
    "Clavicle": "C0008913",
    "Coronary artery": "C0205042",
    "Coronary stenosis": "C0242231",
    "Diaphragm": "C0011980",
    "Femur": "C0015811",
    "Fibula": "C0016068",
    "Gallbladder": "C0016976",
    "Heart": "C0018787",
    "Hip joint": "C0019558",
    "Humerus": "C0020164",
    "Hydrocephalus": "C0020255",
    "Hydronephrosis": "C0020295",
    "Internal carotid artery": "C0007276",
    "Intervertebral disc": "C0021815",
    "Intestinal obstruction": "C0021843",
    "Kidney": "C0022646",
    "Knee joint": "C0022745",
    "Lateral ventricle": "C0152279",
    "Liver": "C0023884",
    "Lumbar vertebra": "C0024091",
    "Lung": "C0024109",
    "Lymph node": "C0024204",
    "Mandible": "C0024687",
    "Meningioma": "C0025286",
    "Meniscus": "C0224498",
    "Metacarpal bone": "C0025526",
    "Ovarian cyst": "C0029513",
    "Patella": "C0030647",
    "Pericardial effusion": "C0031039",
    "Pneumonia": "C0032285",
    "Radius": "C0034627",
    "Renal artery": "C0035065",
    "Rib": "C0035561",
    "Small intestine": "C0021852",
    "Spleen": "C0037993",
    "Spondylolisthesis": "C0038016",
    "Stomach": "C0038351",
    "Tibia": "C0040184",
    "Ulna": "C0041600",
}

CT = ("X-Ray Computed Tomography",)
MRI = ("Magnetic Resonance Imaging",)
ULTRASOUND = ("Ultrasonography",)
ANGIOGRAM = ("angiogram",)
PET = ("Positron-Emission Tomography",)
XRAY = "Plain x-ray"
AP, PA = "Anterior-Posterior", "Postero-Anterior"

SPECIMENS = (
    Specimen(
        image_id="sample_train_000001",
        size=(224, 224),
        draw=radiographs.chest,
        caption="Postero-anterior chest X-ray of a healthy adult: clear lungs, heart of normal size.",
        manual=(XRAY, "Chest", PA),
        automatic=("Lung", "Heart"),
    ),
    Specimen(
        image_id="sample_train_000002",
        size=(224, 224),
        draw=partial(radiographs.chest, lesion="pneumonia"),
        caption=(
            "Chest radiograph on admission showing patchy opacity of the right lower lung, "
            "consistent with pneumonia."
        ),
        manual=(XRAY, "Chest", AP),
        automatic=("Lung", "Pneumonia"),
    ),
    Specimen(
        image_id="sample_train_000004",
        size=(224, 192),
        draw=slices.ct_chest,
        caption="Axial CT of the chest at the level of the heart",
        manual=CT,
        automatic=("Heart",),
    ),
    Specimen(
        image_id="sample_train_000005",
        size=(224, 192),
        draw=partial(slices.ct_abdomen, lesion="aneurysm"),
        caption=(
            "Contrast-enhanced CT: abdominal aortic aneurysm, 5.6 cm wide, with mural thrombus "
            'and a calcified wall ("eggshell" sign) in front of the spine.'
        ),
        manual=CT,
        automatic=("Abdominal aortic aneurysm",),
    ),
    Specimen(
        image_id="sample_train_000006",
        size=(224, 192),
        draw=partial(slices.ct_abdomen, lesion="ascites"),
        caption="Ascites around the liver and the spleen.",
        manual=CT,
        automatic=("Ascites", "Liver", "Spleen"),
    ),
    Specimen(
        image_id="sample_train_000009",
        size=(192, 216),
        draw=slices.ct_head,
        caption="Normal unenhanced CT of the brain; the lateral ventricles are slender and symmetrical.",
        manual=CT,
        automatic=("Brain", "Lateral ventricle"),
    ),
    Specimen(
        image_id="sample_train_000010",
        size=(192, 216),
        draw=partial(slices.mri_brain, weighting="T1", lesion="meningioma"),
        caption=(
            "T1-weighted image after gadolinium (0.1 mmol/kg). A round, evenly enhancing mass "
            "over the left frontal lobe, 3.1 × 2.9 cm, most likely a meningioma, touches the dura "
            "and displaces the brain only slightly."
        ),
        manual=MRI,
        automatic=("Meningioma", "Brain"),
    ),
    Specimen(
        image_id="sample_train_000011",
        size=(192, 224),
        draw=slices.mri_knee,
        caption=(
            "Sagittal MRI of the knee joint: femur, tibia, patella and both horns of the meniscus are intact."
        ),
        manual=MRI,
        automatic=("Knee joint", "Femur", "Tibia", "Patella", "Meniscus"),
    ),
    Specimen(
        image_id="sample_train_000012",
        size=(240, 208),
        draw=ultrasound.gallbladder,
        caption="Gallbladder with a single stone, 1.5 cm, and its acoustic shadow.",
        manual=ULTRASOUND,
        automatic=("Gallbladder",),
    ),
    Specimen(
        image_id="sample_train_000014",
        size=(240, 208),
        draw=partial(ultrasound.kidney, lesion="cyst"),
        caption=(
            "Ultrasound of the right kidney. Simple cyst at the lower pole – no septa, no solid "
            "part – with enhancement behind it."
        ),
        manual=ULTRASOUND,
        automatic=("Kidney",),
    ),
    Specimen(
        image_id="sample_train_000015",
        size=(224, 224),
        draw=partial(angiograms.angiogram, territory="coronary", stenosis=0.75),
        caption=(
            "Coronary angiogram, left coronary artery: coronary stenosis of ≥ 70 % in the middle "
            "of the anterior descending branch (before treatment)."
        ),
        manual=ANGIOGRAM,
        automatic=("Coronary artery", "Coronary stenosis"),
    ),
    Specimen(
        image_id="sample_train_000016",
        size=(192, 256),
        draw=radiographs.forearm,
        caption="Displaced fracture of the radius; the ulna is spared",
        manual=(XRAY, "Upper Extremity", AP),
        automatic=("Radius", "Ulna"),
    ),
    Specimen(
        image_id="sample_train_000018",
        size=(192, 240),
        draw=radiographs.knee,
        caption="Knee joint, standing.",
        manual=(XRAY, "Lower Extremity", AP),
        automatic=("Knee joint",),
    ),
    Specimen(
        image_id="sample_train_000019",
        size=(224, 192),
        draw=slices.pet_ct,
        caption=(
            "PET/CT, fused axial slice: intense uptake (SUVmax 9.4) in a nodule of the right lung "
            "and in a lymph node beside the oesophagus; physiological uptake of the heart."
        ),
        automatic=(*PET, *CT, "Lung", "Lymph node", "Heart"),
    ),
    Specimen(
        image_id="sample_train_000020",
        size=(192, 192),
        draw=slices.quality_phantom,
        caption="Quality control phantom with eight contrast inserts and line pairs.",
        bend=0.0,
    ),
    Specimen(
        image_id="sample_train_000022",
        size=(256, 208),
        draw=radiographs.pelvis,
        caption="X-ray of the pelvis. Both hip joints are congruent, and the head of each femur is round.",
        manual=(XRAY, "Pelvis", AP),
        automatic=("Pelvis", "Hip joint", "Femur"),
    ),
    Specimen(
        image_id="sample_train_000023",
        size=(192, 256),
        draw=radiographs.hand,
        caption="Hand, postero-anterior view; carpal bones and metacarpal bones without erosion.",
        manual=(XRAY, "Upper Extremity", PA),
        automatic=("Carpal bone", "Metacarpal bone"),
    ),
    Specimen(
        image_id="sample_valid_000001",
        size=(224, 224),
        draw=radiographs.chest,
        caption="Chest X-ray without any abnormality.",
        manual=(XRAY, "Chest", PA),
    ),
    Specimen(
        image_id="sample_valid_000002",
        size=(224, 224),
        draw=partial(radiographs.chest, heart=1.02),
        caption="Chest X-ray without any abnormality.",
        manual=(XRAY, "Chest", AP),
    ),
    Specimen(
        image_id="sample_valid_000003",
        size=(224, 192),
        draw=partial(slices.ct_chest, lesion="nodule"),
        caption="Solid nodule in the middle lobe of the right lung, 18 mm, found by chance on a CT scan.",
        manual=CT,
        automatic=("Lung",),
    ),
    Specimen(
        image_id="sample_valid_000005",
        size=(224, 192),
        draw=partial(slices.ct_abdomen, lesion="hydronephrosis"),
        caption="CT in the portal venous phase: hydronephrosis of the left kidney, creatinine 182 µmol/l.",
        manual=CT,
        automatic=("Hydronephrosis", "Kidney"),
    ),
    Specimen(
        image_id="sample_valid_000006",
        size=(192, 216),
        draw=partial(slices.ct_head, lesion="infarct"),
        caption=(
            'Hypodense area in the right hemisphere, "dense media" sign absent, in keeping with a '
            "cerebral infarction about two days old."
        ),
        manual=CT,
        automatic=("Cerebral infarction",),
    ),
    Specimen(
        image_id="sample_valid_000007",
        size=(192, 216),
        draw=partial(slices.mri_brain, weighting="T2"),
        caption="Axial T2-weighted MRI of the brain",
        manual=MRI,
        automatic=("Brain",),
    ),
    Specimen(
        image_id="sample_valid_000008",
        size=(192, 256),
        draw=partial(slices.mri_spine, prolapse=True),
        caption=(
            "Sagittal T2: the intervertebral disc is dark and bulges into the canal, while the "
            "discs above and below keep their height and signal."
        ),
        manual=MRI,
        automatic=("Intervertebral disc",),
    ),
    Specimen(
        image_id="sample_valid_000011",
        size=(240, 208),
        draw=partial(ultrasound.kidney, lesion="dilated"),
        caption="Hydronephrosis grade II on ultrasound",
        manual=ULTRASOUND,
        automatic=("Hydronephrosis",),
    ),
    Specimen(
        image_id="sample_valid_000012",
        size=(224, 224),
        draw=partial(angiograms.angiogram, territory="renal", stenosis=0.72),
        caption=(
            "Digital subtraction angiography of the aorta: tight narrowing of the left renal "
            "artery, right renal artery patent."
        ),
        manual=ANGIOGRAM,
        automatic=("Aorta", "Renal artery"),
    ),
    Specimen(
        image_id="sample_valid_000013",
        size=(192, 256),
        draw=radiographs.shin,
        caption="Oblique fracture through the shaft of the tibia. The fibula is intact.",
        manual=(XRAY, "Lower Extremity", AP),
        automatic=("Tibia", "Fibula"),
    ),
    Specimen(
        image_id="sample_valid_000014",
        size=(224, 224),
        draw=radiographs.skull,
        caption="Lateral skull film; the mandible and the sutures are normal.",
        manual=(XRAY, "Bone structure of cranium", "Sagittal"),
        automatic=("Mandible",),
    ),
    Specimen(
        image_id="sample_valid_000016",
        size=(256, 192),
        draw=slices.side_by_side,
        caption="Meningioma of the left frontal region, CT (left half) and MRI (right half) side by side.",
        automatic=("Meningioma", *CT, *MRI),
    ),
    Specimen(
        image_id="sample_valid_000017",
        size=(224, 208),
        draw=radiographs.shoulder,
        caption=(
            "Left shoulder after reduction: the head of the humerus is back in place, the "
            "clavicle and the ribs are unharmed."
        ),
        manual=(XRAY, AP),
        automatic=("Humerus", "Clavicle", "Rib"),
    ),
    Specimen(
        image_id="sample_test_000001",
        size=(224, 224),
        draw=partial(radiographs.chest, lesion="effusion", heart=1.2, device="pacemaker"),
        caption=(
            "Pacemaker with its lead in the right ventricle. Enlarged heart; blunted angle "
            "between the left diaphragm and the ribs."
        ),
        manual=(XRAY, "Chest", AP),
        automatic=("Heart", "Diaphragm", "Rib"),
    ),
    Specimen(
        image_id="sample_test_000002",
        size=(224, 192),
        draw=partial(slices.ct_chest, lesion="pericardial effusion"),
        caption="CT slice with a large pericardial effusion around the heart",
        manual=CT,
        automatic=("Pericardial effusion", "Heart"),
    ),
    Specimen(
        image_id="sample_test_000003",
        size=(224, 192),
        draw=partial(slices.ct_abdomen, lesion="liver"),
        caption=(
            "Three hypodense lesions (up to 2.4 cm) in the liver, first seen at staging; stomach, "
            "spleen and both kidneys look normal, there is no free fluid, and the wall of the "
            "aorta is smooth; follow-up in 8–12 weeks is advised."
        ),
        manual=CT,
        automatic=("Liver", "Stomach", "Spleen", "Kidney", "Aorta"),
    ),
    Specimen(
        image_id="sample_test_000005",
        size=(192, 216),
        draw=partial(slices.ct_head, lesion="hydrocephalus"),
        caption="Hydrocephalus: wide lateral ventricles, narrow sulci.",
        manual=CT,
        automatic=("Hydrocephalus", "Lateral ventricle"),
    ),
    Specimen(
        image_id="sample_test_000006",
        size=(192, 216),
        draw=partial(slices.mri_brain, weighting="FLAIR", lesion="infarct"),
        caption="FLAIR image, day 3, bright area of the right hemisphere: subacute cerebral infarction.",
        manual=MRI,
        automatic=("Cerebral infarction",),
    ),
    Specimen(
        image_id="sample_test_000008",
        size=(240, 208),
        draw=partial(ultrasound.heart, effusion=True),
        caption=(
            'Four-chamber view of the heart: echo-free rim of 1.8 cm, "swinging heart" in the '
            "moving picture, pericardial effusion."
        ),
        manual=ULTRASOUND,
        automatic=("Heart", "Pericardial effusion"),
    ),
    Specimen(
        image_id="sample_test_000009",
        size=(192, 240),
        draw=partial(angiograms.angiogram, territory="carotid", stenosis=0.7),
        caption="Stenosis of the internal carotid artery (NASCET 70–79 %)",
        manual=ANGIOGRAM,
        automatic=("Internal carotid artery",),
    ),
    Specimen(
        image_id="sample_test_000010",
        size=(192, 256),
        draw=partial(slices.pet_body, spots=((0.13, -0.78), (0.2, -0.7), (-0.08, 0.3))),
        caption=(
            "Whole-body PET, 60 min after injection: two hot lymph nodes above the left clavicle, "
            "one in the abdomen."
        ),
        manual=PET,
        automatic=("Lymph node", "Clavicle"),
    ),
    Specimen(
        image_id="sample_test_000011",
        size=(208, 240),
        draw=radiographs.abdomen,
        caption="Supine film: dilated loops of the small intestine, intestinal obstruction.",
        manual=(XRAY, "Abdomen", AP),
        automatic=("Small intestine", "Intestinal obstruction"),
    ),
    Specimen(
        image_id="sample_test_000013",
        size=(192, 256),
        draw=radiographs.lumbar_spine,
        caption="Spondylolisthesis of a lumbar vertebra, grade 1",
        manual=(XRAY, "Vertebral column", "Sagittal"),
        automatic=("Spondylolisthesis", "Lumbar vertebra"),
    ),
    Specimen(
        image_id="sample_test_000014",
        size=(224, 192),
        draw=radiographs.patella_skyline,
        caption="Skyline view of the patella.",
        manual=(XRAY, "Lower Extremity", "Transverse - anatomical location"),
        automatic=("Patella",),
    ),
    Specimen(
        image_id="sample_test_000015",
        size=(192, 240),
        draw=radiographs.breast,
        caption="Smooth, round density; ultrasound confirmed a breast cyst.",
        manual=(XRAY, "Breast"),
        automatic=("Breast cyst",),
    ),
    Specimen(
        image_id="sample_test_000016",
        size=(224, 192),
        draw=partial(slices.pet_ct, treated=True),
        caption="Follow-up PET/CT: complete metabolic response, only the heart takes up tracer.",
        automatic=(*PET, *CT, "Heart"),
    ),
    Specimen(
        image_id="sample_test_000017",
        size=(240, 208),
        draw=ultrasound.ovary,
        caption=("Transvaginal scan, 7 MHz: unilocular ovarian cyst, 4.2 × 3.7 cm, next to small follicles."),
        manual=ULTRASOUND,
        automatic=("Ovarian cyst",),
    ),
)
